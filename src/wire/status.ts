import { errorCodes, type ErrorCode } from "../util/error-codes.ts";
import { WeirError } from "../util/weir-error.ts";

/** gRPC status codes by their numbers (https://grpc.github.io/grpc/core/md_doc_statuscodes.html). */
const codeNames = [
  "OK",
  "CANCELLED",
  "UNKNOWN",
  "INVALID_ARGUMENT",
  "DEADLINE_EXCEEDED",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED",
  "FAILED_PRECONDITION",
  "ABORTED",
  "OUT_OF_RANGE",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
  "UNAUTHENTICATED",
] as const;

/** The name of a gRPC status code; `UNKNOWN` for a number that is none. */
export function grpcCodeName(code: number): string {
  return codeNames[code] ?? "UNKNOWN";
}

/** The gRPC status code of a name, in any letter case; `undefined` when it is none. */
export function grpcCodeOf(name: string): number | undefined {
  const code = (codeNames as readonly string[]).indexOf(name.toUpperCase());
  return code < 0 ? undefined : code;
}

/** What a caller is told of a call that failed as a whole. */
export interface Status {
  readonly code: ErrorCode;
  /** For the caller. */
  readonly message: string;
  /** gRPC status code. */
  readonly grpc: number;
  /** HTTP status. */
  readonly http: number;
  readonly retry: boolean;
  /** Set when the error is a fault of Weir: what to write to the log, and to nobody else. */
  readonly fault?: unknown;
}

/**
 * The status of what was thrown: the only place where an error becomes a gRPC or HTTP status. A `WeirError` keeps its
 * code and text; anything else is a fault of Weir whose text is not for callers.
 */
export function toStatus(error: unknown): Status {
  if (!(error instanceof WeirError)) return { ...statusOf("WEIR_INTERNAL", "the hub failed"), fault: error };
  const status = statusOf(error.code, error.message);
  const fault = error.code === "WEIR_INTERNAL" ? error : error.cause;
  return fault === undefined ? status : { ...status, fault };
}

/** The status of an error code. */
export function statusOf(code: ErrorCode, message: string): Status {
  const { grpc, http, retry } = errorCodes[code];
  return { code, message, grpc, http, retry };
}

/** The most characters of a message that travel in a header. */
const maxDetails = 1024;

/**
 * A text that `grpc-message` can carry: of bounded length, and without the half surrogates that percent-encoding cannot
 * express.
 */
export function statusDetails(message: string): string {
  return message.slice(0, maxDetails).replace(/\p{Surrogate}/gu, "\ufffd");
}

/** HTTP statuses of refusals by gRPC code, as Istio's proxies map them. */
const httpStatuses = [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401];

/** The HTTP status with which a proxy refuses a request for a gRPC status code. */
export function httpStatusOf(code: number): number {
  return httpStatuses[code] ?? 500;
}
