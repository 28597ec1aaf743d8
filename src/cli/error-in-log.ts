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
  const found = systemError(error);
  if (found === undefined || typeof told !== "object" || told === null) return told;
  const { type, message, stack: _stack, aggregateErrors: _attempts, ...fields } = told as Record<string, unknown>;
  return { type, message: `${String(message)}${attemptsOf(found)}`, ...fields, code: fields["code"] ?? found.code };
}

/** What each attempt at several addresses met: the error that stands for all of them has no message of its own. */
function attemptsOf(error: Error): string {
  if (error.message !== "" || !(error instanceof AggregateError)) return "";
  return error.errors.map((each) => (each instanceof Error ? each.message : String(each))).join(", ");
}

/** What the system says is wrong, of an error: itself, or what caused it. */
function systemError(error: unknown): NodeJS.ErrnoException | undefined {
  let at = error;
  for (let depth = 0; depth < maxCauses && at instanceof Error; depth++) {
    const { code } = at as NodeJS.ErrnoException;
    // Names are not all in the table of errno: those of look-ups are not.
    if (typeof code === "string" && (code in constants.errno || /^(ENOTFOUND|EAI_[A-Z]+)$/.test(code))) return at;
    at = at.cause;
  }
  return undefined;
}
