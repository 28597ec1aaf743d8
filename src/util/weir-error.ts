import type { ErrorCode } from "./error-codes.ts";

/** A fault with a code of the table. `message` may be shown to whom it concerns; `cause` goes to the log only. */
export class WeirError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "WeirError";
    this.code = code;
  }
}
