import { constants } from "node:os";
import { pino } from "pino";

/** How many causes are looked at: a chain of them may be a ring. */
const maxCauses = 10;

/**
 * How an error is written to the log. What the system says of the world outside, that nobody listens, that a file is not
 * there, is told in one line: where in the program it was met helps nobody to mend it. Every other error has its stack.
 */
export function errorInLog(error: unknown): unknown {
  const told: unknown = pino.stdSerializers.err(error as Error);
  const code = systemCode(error);
  if (code === undefined || typeof told !== "object" || told === null) return told;
  const { type, message, stack: _stack, aggregateErrors, ...fields } = told as Record<string, unknown>;
  // One that stands for attempts at several addresses has no message of its own.
  const attempts = message === "" && Array.isArray(aggregateErrors) ? (aggregateErrors as { message: string }[]) : [];
  const said = attempts.length > 0 ? attempts.map((each) => each.message).join(", ") : message;
  return { type, message: said, ...fields, code: fields["code"] ?? code };
}

/** The code by which the system says what is wrong, of an error or of what caused it. */
function systemCode(error: unknown): string | undefined {
  let at = error;
  for (let depth = 0; depth < maxCauses && at instanceof Error; depth++) {
    const { code } = at as NodeJS.ErrnoException;
    // Names are not all in the table of errno: those of look-ups are not.
    if (typeof code === "string" && (code in constants.errno || /^(ENOTFOUND|EAI_[A-Z]+)$/.test(code))) return code;
    at = at.cause;
  }
  return undefined;
}
