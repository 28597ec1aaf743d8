import ipaddr from "ipaddr.js";

/** Ranges of addresses, of both families. */
export interface IpRanges {
  /** Whether one of the ranges holds the address; `undefined` when the text is no address. */
  contains(text: string): boolean | undefined;
}

interface Range {
  readonly first: string;
  last: string;
}

export const noRange = (entry: string): string => `${JSON.stringify(entry)} is no IP address and no range`;

/**
 * Prepares addresses (`10.0.0.1`) and ranges (`10.0.0.0/8`, `2001:db8::/32`) for look-up by binary search. Throws a
 * RangeError that names the first entry that is neither. An IPv4 address in IPv6 form is the IPv4 address.
 */
export function ipRanges(entries: readonly string[]): IpRanges {
  const ranges: Range[] = entries.map((entry) => {
    const range = parseRange(entry);
    if (range === undefined) throw new RangeError(noRange(entry));
    return range;
  });
  // IPv4 keys have 8 digits and IPv6 keys 32; a letter before them keeps the families apart.
  ranges.sort((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0));
  const merged: Range[] = [];
  for (const { first, last } of ranges) {
    const before = merged.at(-1);
    if (before !== undefined && first <= before.last) {
      if (last > before.last) before.last = last;
    } else merged.push({ first, last });
  }

  return {
    contains(text) {
      const bytes = parseAddress(text);
      if (bytes === undefined) return undefined;
      const key = keyOf(bytes);
      let low = 0;
      let high = merged.length;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if (merged[middle]!.first <= key) low = middle + 1;
        else high = middle;
      }
      return low > 0 && key <= merged[low - 1]!.last;
    },
  };
}

export function parseRange(entry: string): Range | undefined {
  const slash = entry.indexOf("/");
  const address = slash < 0 ? entry : entry.slice(0, slash);
  const bytes = parseAddress(address);
  if (bytes === undefined) return undefined;
  const bits = bytes.length * 8;
  let prefix = bits;
  if (slash >= 0) {
    const digits = entry.slice(slash + 1);
    if (!/^(0|[1-9]\d{0,2})$/.test(digits)) return undefined;
    // The prefix of a range in IPv4-mapped form counts from the start of its 128 bits.
    prefix = Number(digits) - (bytes.length === 4 && address.includes(":") ? 96 : 0);
    if (prefix < 0 || prefix > bits) return undefined;
  }
  const first = bytes.slice();
  const last = bytes.slice();
  for (let bit = prefix; bit < bits; bit++) {
    first[bit >>> 3]! &= ~(0x80 >>> (bit & 7));
    last[bit >>> 3]! |= 0x80 >>> (bit & 7);
  }
  return { first: keyOf(first), last: keyOf(last) };
}

function parseAddress(text: string): number[] | undefined {
  if (text.length > 45 || text.includes("%")) return undefined;
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return ipaddr.IPv4.parse(text).toByteArray();
  if (!text.includes(":") || !ipaddr.IPv6.isValid(text)) return undefined;
  const address = ipaddr.IPv6.parse(text);
  return address.isIPv4MappedAddress() ? address.toIPv4Address().toByteArray() : address.toByteArray();
}

/** A text that sorts as the address does. */
function keyOf(bytes: readonly number[]): string {
  let key = bytes.length === 4 ? "4" : "6";
  for (const byte of bytes) key += (byte < 16 ? "0" : "") + byte.toString(16);
  return key;
}
