import type { ServiceError } from "@grpc/grpc-js";
import { errorCodes, type ErrorCode } from "../util/error-codes.ts";
import { WeirError } from "../util/weir-error.ts";

/**
 * What went wrong with a call, as a `WeirError`: with the code that the hub gave, or WEIR_UNREACHABLE where no hub has
 * answered.
 */
export function failure(address: string, error: Pick<ServiceError, "details" | "message">): WeirError {
  const [, code, message] = /^(WEIR_[A-Z_]+): (.*)$/s.exec(error.details) ?? [];
  if (code !== undefined && code in errorCodes) return new WeirError(code as ErrorCode, message!, { cause: error });
  const reason = whyUnreachable(error.details || error.message);
  return new WeirError("WEIR_UNREACHABLE", `cannot call the hub at ${address}: ${reason}`, { cause: error });
}

/** What Node, OpenSSL and grpc-js say of a connection that cannot be made, in words for people. */
export function whyUnreachable(text: string): string {
  for (const [pattern, reason] of reasons) if (pattern.test(text)) return reason;
  const [, openssl] = /:SSL routines:[^:]*:([^:]+):/.exec(text) ?? [];
  // Of grpc-js's account the last error says all there is.
  const [, last = text] = /Last error: (?:Error: )?(.*?)(?: \(\d{4}-[^)]*\))?\. Resolution note:/s.exec(text) ?? [];
  const [reason = openssl ?? last] = /connect E[A-Z]+/.exec(text) ?? [];
  return reason;
}

const reasons: readonly (readonly [said: RegExp, reason: string])[] = [
  [/wrong version number/, "it does not speak TLS there"],
  [/Last error: Failed to connect|socket hang up/, "it closed the connection; it may ask for TLS"],
  [/Last error: Protocol error/, "it does not speak gRPC there; is this its gRPC listener?"],
  [/Parse Error: Expected HTTP/, "it does not speak HTTP/1.1 there; is this its admin listener?"],
];
