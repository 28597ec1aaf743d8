import { ConnectionError, errorCode } from "./frame.ts";

/**
 * Bits of each symbol's code (RFC 7541, appendix B): the bytes 0 to 255, then EOS. The code is canonical: codes of one
 * length are in the order of their symbols, so the lengths tell all of it.
 */
// prettier-ignore
const codeLengths = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
   6, 10, 10, 12, 13,  6,  8, 11, 10, 10,  8, 11,  8,  6,  6,  6,  5,  5,  5,  6,  6,  6,  6,  6,  6,  6,  7,  8, 15,  6, 12, 10,
  13,  6,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  8,  7,  8, 13, 19, 13, 14,  6,
  15,  5,  6,  5,  6,  5,  6,  6,  6,  5,  7,  7,  6,  6,  6,  5,  6,  7,  6,  5,  5,  6,  7,  7,  7,  7,  7, 15, 11, 14, 13, 28,
  20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
  22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
  26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
  20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
  30,
];

const endOfString = 256;

/**
 * The decoder as an automaton that takes four bits at a time. A state is an inner node of the code's tree; no code is
 * shorter than five bits, so a step brings one symbol at most. An entry is the next state, and above it the symbol
 * plus one, or {@link failed}.
 */
const symbolShift = 9;
const stateMask = (1 << symbolShift) - 1;
const failed = 0xffff_ffff;
const { steps, mayEnd } = automaton();

function automaton(): { readonly steps: Uint32Array; readonly mayEnd: Uint8Array } {
  // A node's two children: 0 is none yet, n a node, -n - 1 the symbol n.
  const children: [number, number][] = [[0, 0]];
  const symbols = codeLengths.map((_, symbol) => symbol).sort((a, b) => codeLengths[a]! - codeLengths[b]! || a - b);
  let code = 0;
  let length = 0;
  for (const symbol of symbols) {
    code <<= codeLengths[symbol]! - length;
    length = codeLengths[symbol]!;
    let node = 0;
    for (let bit = length - 1; bit > 0; bit--) {
      const side = (code >>> bit) & 1;
      node = children[node]![side] ||= children.push([0, 0]) - 1;
    }
    children[node]![code & 1] = -symbol - 1;
    code++;
  }

  const table = new Uint32Array(children.length << 4);
  for (let state = 0; state < children.length; state++) {
    for (let nibble = 0; nibble < 16; nibble++) {
      let node = state;
      let symbol = -1;
      for (let bit = 3; bit >= 0; bit--) {
        node = children[node]![(nibble >>> bit) & 1]!;
        if (node >= 0) continue;
        symbol = -node - 1;
        node = 0;
      }
      table[(state << 4) | nibble] = symbol === endOfString ? failed : ((symbol + 1) << symbolShift) | node;
    }
  }

  // What is left of the last byte is filled with the beginning of EOS, which is all ones (RFC 7541, 5.2).
  const ends = new Uint8Array(children.length);
  for (let node = 0, bits = 0; bits < 8; bits++, node = children[node]![1]) ends[node] = 1;
  return { steps: table, mayEnd: ends };
}

/** Text in Huffman code, each byte as the character of its number. Throws a {@link ConnectionError} where it is none. */
export function decodeHuffman(bytes: Uint8Array, start: number, end: number): string {
  // The shortest code has five bits.
  const text = Buffer.allocUnsafe(Math.ceil(((end - start) * 8) / 5));
  let length = 0;
  let state = 0;
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!;
    for (let shift = 4; shift >= 0; shift -= 4) {
      const step = steps[(state << 4) | ((byte >>> shift) & 15)]!;
      if (step === failed) throw new ConnectionError(errorCode.compression, "EOS within a text");
      if (step >>> symbolShift !== 0) text[length++] = (step >>> symbolShift) - 1;
      state = step & stateMask;
    }
  }
  if (mayEnd[state] === 0) throw new ConnectionError(errorCode.compression, "a text ends within a code");
  return text.toString("latin1", 0, length);
}
