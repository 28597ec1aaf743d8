import { globalWords } from "../../src/wire/mixer/dictionary.ts";
import { CompressedAttributes } from "../../src/wire/gen/istio/mixer/v1/attributes.ts";

/** A value of an attribute as the load writes it: text, int64, bool, IP address, string map, time or duration. */
export type Sent =
  | string
  | bigint
  | boolean
  | Uint8Array
  | ReadonlyMap<string, string>
  | { readonly time: number }
  | { readonly duration: number };

/** Attributes by name. Times are milliseconds since 1970, durations are milliseconds. */
export type Attributes = ReadonlyMap<string, Sent>;

const globalIndex = new Map(globalWords.map((word, index) => [word, index]));

/** The words of one message, or of one batch: each is written once, and only when it is no global word. */
export class Words {
  readonly own: string[] = [];
  readonly #index = new Map<string, number>();

  index(word: string): number {
    const global = globalIndex.get(word);
    if (global !== undefined) return global;
    let index = this.#index.get(word);
    if (index === undefined) {
      this.own.push(word);
      this.#index.set(word, (index = -this.own.length));
    }
    return index;
  }
}

/** Puts attributes into Mixer's form. The words are left to the caller, who may share them between messages. */
export function compress(attributes: Attributes, words: Words): CompressedAttributes {
  const message: CompressedAttributes = {
    words: [],
    strings: new Map(),
    int64s: new Map(),
    doubles: new Map(),
    bools: new Map(),
    timestamps: new Map(),
    durations: new Map(),
    bytes: new Map(),
    stringMaps: new Map(),
  };
  for (const [name, value] of attributes) {
    const key = words.index(name);
    if (typeof value === "string") message.strings.set(key, words.index(value));
    else if (typeof value === "bigint") message.int64s.set(key, value);
    else if (typeof value === "boolean") message.bools.set(key, value);
    else if (value instanceof Uint8Array) message.bytes.set(key, value);
    else if (value instanceof Map) {
      const entries = new Map([...value].map(([k, v]: [string, string]) => [words.index(k), words.index(v)]));
      message.stringMaps.set(key, { entries });
    } else if ("time" in value) message.timestamps.set(key, parts(value.time));
    else if ("duration" in value) message.durations.set(key, parts(value.duration));
  }
  return message;
}

function parts(ms: number): { seconds: bigint; nanos: number } {
  const seconds = Math.floor(ms / 1000);
  return { seconds: BigInt(seconds), nanos: Math.round((ms - seconds * 1000) * 1e6) };
}
