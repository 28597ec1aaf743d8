/**
 * A charge as the script reads it (Redis's Lua library `struct`), since texts cost both sides more than all else: the
 * letter of its algorithm; how (0 all of it, 1 best effort, 2 spent already); which keys follow its counter (1: the
 * deduplication id, 2: the record of what is held, 4: the list of the decision; added); of how many charges its decision is;
 * amount, window (ms), burst, units wanted, units that must be there.
 */
export const chargeFormat = ">c1BBI4ddddd";

/** How many numbers say that. */
export const chargeFields = 9;

const bytesPerCharge = 1 + 1 + 1 + 4 + 5 * 8;

/** Charges as bytes, of {@link chargeFields} numbers each; the letter by its code. */
export function recordsOf(numbers: readonly number[]): Buffer {
  const bytes = Buffer.allocUnsafe((numbers.length / chargeFields) * bytesPerCharge);
  let at = 0;
  for (let i = 0; i < numbers.length; i += chargeFields) {
    for (let field = 0; field < 3; field++) at = bytes.writeUInt8(numbers[i + field]!, at);
    at = bytes.writeUInt32BE(numbers[i + 3]!, at);
    for (let field = 4; field < chargeFields; field++) at = bytes.writeDoubleBE(numbers[i + field]!, at);
  }
  return bytes;
}
