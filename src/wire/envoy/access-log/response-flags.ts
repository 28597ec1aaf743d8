import type { Reader } from "../../protobuf/reader.ts";

/**
 * By field number of `envoy.data.accesslog.v3.ResponseFlags`: the flag as Envoy's own access logs write it
 * (`%RESPONSE_FLAGS%`).
 */
export const flagTexts: readonly string[] = [
  "",
  "LH",
  "UH",
  "UT",
  "LR",
  "UR",
  "UF",
  "UC",
  "UO",
  "NR",
  "DI",
  "FI",
  "RL",
  "UAEX",
  "RLSE",
  "DC",
  "URX",
  "SI",
  "IH",
  "DPE",
  "UMSDR",
  "RFCF",
  "NFCF",
  "DT",
  "UPE",
  "NC",
  "OM",
  "DF",
  "DR",
];

/** How Envoy says that there is none. */
export const noFlags = "-";

/** The flag that is a message, not a bool: who called the request unauthorised. */
const unauthorized = 13;

const texts = new Map<number, string>([[0, noFlags]]);
/** Few combinations come; the rest is made each time. */
const maxTexts = 1024;

/**
 * Reads a ResponseFlags, which fills the reader's part, into text such as `UF,URX`, in the order of the field numbers.
 * Flags of proxies newer than this hub are left out.
 */
export function readResponseFlags(reader: Reader): string {
  let mask = 0;
  while (reader.more) {
    const tag = reader.tag();
    const field = tag >>> 3;
    if (field >= flagTexts.length || (tag & 7) !== (field === unauthorized ? 2 : 0)) reader.skip(tag);
    else if (field === unauthorized) {
      // Its one field is the reason. Envoy sets it for no other than the one that there is, EXTERNAL_SERVICE.
      const stop = reader.delimited();
      if (stop > reader.pos) mask |= 1 << field;
      reader.pos = stop;
    } else if (reader.bool()) mask |= 1 << field;
    else mask &= ~(1 << field);
  }
  const known = texts.get(mask);
  if (known !== undefined) return known;
  const text = flagTexts.filter((_, field) => (mask & (1 << field)) !== 0).join(",");
  if (texts.size < maxTexts) texts.set(mask, text);
  return text;
}
