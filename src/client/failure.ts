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
  // Of a connection that cannot be made, the last error says all there is.
  const [, openssl] = /:SSL routines:[^:]*:([^:]+):/.exec(error.details) ?? [];
  const [reason = openssl ?? (error.details || error.message)] = /connect E[A-Z]+/.exec(error.details) ?? [];
  return new WeirError("WEIR_UNREACHABLE", `cannot call the hub at ${address}: ${reason}`, { cause: error });
}
