import { globalIndex } from "../../../src/wire/mixer/dictionary.ts";
import { CompressedAttributes } from "../../../src/wire/gen/istio/mixer/v1/attributes.ts";

/** An attribute as a proxy would send it: the typed map that it goes into, and its value. */
export type Sent =
  | { readonly string: string }
  | { readonly int64: bigint }
  | { readonly double: number }
  | { readonly bool: boolean }
  | { readonly timestamp: readonly [seconds: bigint, nanos: number] }
  | { readonly duration: readonly [seconds: bigint, nanos: number] }
  | { readonly bytes: readonly number[] }
  | { readonly map: Readonly<Record<string, string>> };

/** Compresses attributes as Istio's proxies do: global words where there are any, else words of the message (or of `shared`). */
export function compress(attributes: Readonly<Record<string, Sent>>, shared?: string[]): CompressedAttributes {
  const message = CompressedAttributes.fromPartial({});
  const words = shared ?? message.words;
  function index(word: string): number {
    const global = globalIndex.get(word);
    if (global !== undefined) return global;
    const known = words.indexOf(word);
    return known >= 0 ? -known - 1 : -words.push(word);
  }
  for (const [name, sent] of Object.entries(attributes)) {
    const key = index(name);
    if ("string" in sent) message.strings.set(key, index(sent.string));
    else if ("int64" in sent) message.int64s.set(key, sent.int64);
    else if ("double" in sent) message.doubles.set(key, sent.double);
    else if ("bool" in sent) message.bools.set(key, sent.bool);
    else if ("timestamp" in sent) message.timestamps.set(key, { seconds: sent.timestamp[0], nanos: sent.timestamp[1] });
    else if ("duration" in sent) message.durations.set(key, { seconds: sent.duration[0], nanos: sent.duration[1] });
    else if ("bytes" in sent) message.bytes.set(key, Uint8Array.from(sent.bytes));
    else {
      const entries = Object.entries(sent.map).map(([k, v]): [number, number] => [index(k), index(v)]);
      message.stringMaps.set(key, { entries: new Map(entries) });
    }
  }
  return message;
}

export function encode(message: CompressedAttributes): Buffer {
  return Buffer.from(CompressedAttributes.encode(message).finish());
}
