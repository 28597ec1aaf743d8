// Bytes as words: numbers of 32 bits, by which many bytes are hashed and compared at a time.

/**
 * How many words so many bytes are. They are hashed and compared four bytes at a step; the last word is that of the last
 * four bytes, whichever of them the one before it has too. From words and length follow the bytes.
 */
export function wordsOf(bytes: number): number {
  return (bytes + 3) >>> 2;
}

/** The last word, of bytes of which there is at least one. */
function lastWord(view: DataView, start: number, end: number): number {
  if (end - start >= 4) return view.getInt32(end - 4, true);
  let word = 0;
  for (let i = start; i < end; i++) word = (word << 8) | view.getUint8(i);
  return word;
}

/** Puts the words of bytes into a list, from `at` on. */
export function putWords(words: Int32Array, at: number, view: DataView, start: number, end: number): void {
  let k = at;
  let i = start;
  for (; i <= end - 4; i += 4) words[k++] = view.getInt32(i, true);
  if (i < end) words[k] = lastWord(view, start, end);
}

// Both of these take two words at a step: what a loop does between its steps costs more than a word.

/** Whether bytes are those that were put. */
export function areWords(words: Int32Array, at: number, view: DataView, start: number, end: number): boolean {
  let k = at;
  let i = start;
  for (; i <= end - 8; i += 8) {
    const first = words[k]! ^ view.getInt32(i, true);
    const second = words[k + 1]! ^ view.getInt32(i + 4, true);
    if ((first | second) !== 0) return false;
    k += 2;
  }
  if (i <= end - 4) {
    if (words[k] !== view.getInt32(i, true)) return false;
    k++;
    i += 4;
  }
  return i === end || words[k] === lastWord(view, start, end);
}

/** A hash of bytes that goes on from another one, and is to be {@link finished}. */
export function hashWords(view: DataView, start: number, end: number, seed: number): number {
  let hash = seed ^ (end - start);
  let i = start;
  for (; i <= end - 8; i += 8) {
    hash = mixed(hash, view.getInt32(i, true));
    hash = mixed(hash, view.getInt32(i + 4, true));
  }
  if (i <= end - 4) {
    hash = mixed(hash, view.getInt32(i, true));
    i += 4;
  }
  return i === end ? hash : mixed(hash, lastWord(view, start, end));
}

function mixed(hash: number, word: number): number {
  const product = Math.imul(hash ^ word, 0x9e3779b1);
  return (product << 13) | (product >>> 19);
}

/** The hash in whose every bit each bit of the last word has a say. */
export function finished(hash: number): number {
  const product = Math.imul(hash ^ (hash >>> 15), 0x85ebca6b);
  return product ^ (product >>> 13);
}
