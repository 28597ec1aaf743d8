/** The headers that a trace context may come in. */
export const traceHeaders = [
  "traceparent",
  "tracestate",
  "b3",
  "x-b3-traceid",
  "x-b3-spanid",
  "x-b3-parentspanid",
  "x-b3-sampled",
  "x-b3-flags",
] as const;

export type TraceHeader = (typeof traceHeaders)[number];

/** The ways to write a trace context: W3C Trace Context level 1, and B3, in one header or in several. */
export const traceFormats = ["w3c", "b3"] as const;

export type TraceFormat = (typeof traceFormats)[number];

/** What the headers of a request say of the trace that it belongs to. Identifiers are in lower case and not all 0. */
export interface TraceContext {
  /** Left out where the headers only say whether to sample. */
  readonly ids?: {
    /** 32 hexadecimal digits; one that came with 16 has zeros before it. */
    readonly trace: string;
    /** 16 hexadecimal digits. */
    readonly span: string;
    /** 16 hexadecimal digits: the span above `span`. B3 may say so, W3C cannot. */
    readonly parent?: string;
  };
  /** Whether the caller keeps the trace. Left out: it has not decided. */
  readonly sampled?: boolean;
  /** `tracestate`, which belongs to a `traceparent`. */
  readonly state?: string;
}

/** The value of a header, by its name in lower case; `undefined` when it is not there. */
export type HeaderOf = (name: TraceHeader) => string | undefined;

/**
 * Reads the trace context of a request. Of several formats the first that is there and valid counts; one that is not
 * valid is as if it were not there. In B3 the single header counts before the others
 * (https://github.com/openzipkin/b3-propagation).
 */
export function readTraceContext(header: HeaderOf, formats: readonly TraceFormat[]): TraceContext | undefined {
  for (const format of formats) {
    const context = format === "w3c" ? readW3c(header) : (readSingle(header("b3")) ?? readMulti(header));
    if (context !== undefined) return context;
  }
  return undefined;
}

/** `version-traceid-parentid-flags`, and for versions above 00 whatever may follow behind another dash. */
const traceparent = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** A longer one is none: what is cut out of it would hold all of it as long as the span waits. */
const maxParentLength = 256;

const zeros = /^0+$/;

/** The longest `tracestate` that is handed on: what the specification asks for at least. */
const maxStateLength = 512;

/** https://www.w3.org/TR/trace-context-1/: no upper case, version ff and identifiers of zeros are not valid. */
function readW3c(header: HeaderOf): TraceContext | undefined {
  const text = header("traceparent");
  if (text === undefined || text.length > maxParentLength) return undefined;
  const m = traceparent.exec(text);
  if (m === null || m[1] === "ff" || (m[1] === "00" && m[5] !== undefined)) return undefined;
  const trace = m[2]!;
  const span = m[3]!;
  if (zeros.test(trace) || zeros.test(span)) return undefined;
  const state = header("tracestate");
  const sampled = (Number.parseInt(m[4]!, 16) & 1) === 1;
  const ids = { trace, span };
  return isState(state) ? { ids, sampled, state } : { ids, sampled };
}

function isState(state: string | undefined): state is string {
  return state !== undefined && state !== "" && state.length <= maxStateLength && /^[\x20-\x7e]+$/.test(state);
}

/** `traceid-spanid-sampled-parentid`, of which the last two may be missing; or the sampling state alone. */
const single = /^([0-9a-f]{32}|[0-9a-f]{16})-([0-9a-f]{16})(?:-([01d]))?(?:-([0-9a-f]{16}))?$/i;

function readSingle(text: string | undefined): TraceContext | undefined {
  if (text === undefined) return undefined;
  if (text.length === 1) return /[01d]/.test(text) ? { sampled: text !== "0" } : undefined;
  const m = single.exec(text);
  if (m === null) return undefined;
  return contextOf(m[1]!, m[2]!, m[4], m[3] === undefined ? undefined : m[3] !== "0");
}

function readMulti(header: HeaderOf): TraceContext | undefined {
  const trace = header("x-b3-traceid");
  const sampled = sampledOf(header("x-b3-sampled"), header("x-b3-flags"));
  if (trace === undefined) return sampled === undefined ? undefined : { sampled };
  if (!/^([0-9a-f]{32}|[0-9a-f]{16})$/i.test(trace)) return undefined;
  const span = spanIdOf(header("x-b3-spanid"));
  if (span === undefined) return undefined;
  return contextOf(trace, span, header("x-b3-parentspanid"), sampled);
}

/** The flag for debugging says that the trace is to be kept; `true` and `false` come from early tracers. */
function sampledOf(sampled: string | undefined, flags: string | undefined): boolean | undefined {
  if (flags === "1") return true;
  if (sampled === "1" || sampled === "true") return true;
  return sampled === "0" || sampled === "false" ? false : undefined;
}

function contextOf(
  trace: string,
  span: string,
  parent: string | undefined,
  sampled: boolean | undefined,
): TraceContext | undefined {
  const ids = { trace: traceIdOf(trace), span: spanIdOf(span), parent: spanIdOf(parent) };
  if (ids.trace === undefined || ids.span === undefined) return undefined;
  const known = { trace: ids.trace, span: ids.span, ...(ids.parent !== undefined && { parent: ids.parent }) };
  return sampled === undefined ? { ids: known } : { ids: known, sampled };
}

/** A trace's identifier of 16 or 32 hexadecimal digits, in its one form; `undefined` when the text is none. */
export function traceIdOf(text: string | undefined): string | undefined {
  if (text === undefined || !/^([0-9a-f]{32}|[0-9a-f]{16})$/i.test(text) || zeros.test(text)) return undefined;
  return text.toLowerCase().padStart(32, "0");
}

/** A span's identifier of 16 hexadecimal digits, in its one form; `undefined` when the text is none. */
export function spanIdOf(text: string | undefined): string | undefined {
  return text === undefined || !/^[0-9a-f]{16}$/i.test(text) || zeros.test(text) ? undefined : text.toLowerCase();
}
