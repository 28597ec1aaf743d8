import { InvalidArgumentError } from "commander";

/** Reads `--address`: a host and a port. */
export function readAddress(text: string): string {
  const [, port] = /^(?:\[[^\]\s]+\]|[^:[\]\s]+):(\d{1,5})$/.exec(text) ?? [];
  if (port !== undefined && Number(port) <= 65_535) return text;
  throw new InvalidArgumentError("expected HOST:PORT, such as 127.0.0.1:9091");
}

/** Where something listens. */
export interface Endpoint {
  /** Of an IPv6 address without brackets. */
  readonly host: string;
  readonly port: number;
}

/** `HOST:PORT` as its parts. */
export function endpointOf(address: string): Endpoint {
  const at = address.lastIndexOf(":");
  return { host: address.slice(0, at).replace(/^\[(.*)\]$/, "$1"), port: Number(address.slice(at + 1)) };
}

/** The parts as `HOST:PORT`. */
export function endpointText({ host, port }: Endpoint): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
