/**
 * Divides an amount by max-min fairness: nobody gets more than it wants while another wants more than it has. What is
 * left when everybody has what it wants is divided evenly, so that each has room to grow. The parts add up to the amount
 * (Bertsekas and Gallager, Data Networks, section 6.5.2).
 *
 * @param amount 0 or more
 * @param wants what each could use, 0 or more
 */
export function waterFill(amount: number, wants: readonly number[]): number[] {
  const parts = new Array<number>(wants.length).fill(0);
  const byWant = Array.from(wants.keys()).sort((a, b) => wants[a]! - wants[b]!);
  let left = amount;
  for (const [i, member] of byWant.entries()) {
    const part = Math.min(wants[member]!, left / (byWant.length - i));
    parts[member] = part;
    left = Math.max(0, left - part);
  }
  if (left > 0) for (let i = 0; i < parts.length; i++) parts[i]! += left / parts.length;
  return parts;
}
