/** Longer words are no slip of the pen; comparing them would cost the product of two lengths. */
const maxLength = 128;

/**
 * The candidate that was most likely meant by a mistyped word, or `undefined` when none is near: at most one edit in
 * three characters may separate them (at most 4 in all). Letter case and the difference between `-`, `_` and `.` count
 * as nothing. Of several equally near candidates the one that sorts first wins.
 */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  if (word.length === 0 || word.length > maxLength) return undefined;
  const from = fold(word);
  let best: string | undefined;
  let bestDistance = Math.min(4, Math.max(1, Math.floor(word.length / 3))) + 1;
  for (const candidate of candidates) {
    if (candidate === word || candidate.length > maxLength) continue;
    if (Math.abs(candidate.length - word.length) > bestDistance) continue;
    const distance = editDistance(from, fold(candidate));
    if (distance < bestDistance || (distance === bestDistance && best !== undefined && candidate < best)) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

function fold(word: string): string {
  return word.toLowerCase().replaceAll(/[-_]/g, ".");
}

/**
 * How many insertions, deletions, substitutions and swaps of neighbours make one word the other, where no part is
 * edited twice (optimal string alignment, the restricted Damerau-Levenshtein distance).
 */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitute = last[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      let cost = Math.min(last[j]! + 1, row[j - 1]! + 1, substitute);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        cost = Math.min(cost, beforeLast[j - 2]! + 1);
      row.push(cost);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length]!;
}
