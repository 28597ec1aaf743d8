/**
 * Whether a trace is among a share of all traces. The trace's identifier decides, so that whoever samples by it takes the
 * same ones, and a larger share has all of a smaller one. The same as OpenTelemetry's TraceIdRatioBased in Go and Python
 * says: the lower 64 bits are held against the share.
 *
 * @param traceId 32 hexadecimal digits
 * @param share 0 to 1
 */
export function inTraceShare(traceId: string, share: number): boolean {
  if (share >= 1) return true;
  if (share <= 0) return false;
  // 52 bits, as many as a number holds exactly; the other 12 could only decide where these are on the bound itself.
  return Number.parseInt(traceId.slice(16, 29), 16) < share * 2 ** 52;
}
