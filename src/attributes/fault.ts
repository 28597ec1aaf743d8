/**
 * Why an attribute or an expression has no value, other than that the attribute is absent.
 *
 * Absence is `undefined`; a fault is everything else that can go wrong while a request is judged: a conversion that
 * fails, a division by zero, an overflow, a value of the wrong wire type. The difference matters because absence may
 * mean "does not apply" while a fault must never open a door.
 *
 * Faults are values, returned and compared with `instanceof`; they are never thrown and carry no stack.
 */
export class Fault {
  /** A sentence for the operator's log. It may hold text of the caller; it is not sent back to callers. */
  readonly message: string;

  constructor(message: string) {
    this.message = message;
  }
}
