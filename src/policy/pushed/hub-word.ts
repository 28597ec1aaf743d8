import { z } from "zod";

const shape = z.object({
  /** The hub's name: its machine and what tells it from others there. */
  hub: z.string().max(200),
  /** The version that serves. */
  serves: z.string().max(100),
  /** The version that it last refused, and why, in words for people. */
  refused: z.object({ version: z.string().max(100), problems: z.array(z.string().max(4000)).max(10) }).optional(),
});

/** What a hub says of its policies. */
export type HubWord = z.output<typeof shape>;

export function encodeWord({ refused, ...word }: HubWord): Uint8Array {
  const problems = refused?.problems.slice(0, 10).map((text) => text.slice(0, 4000));
  return Buffer.from(JSON.stringify({ ...word, ...(refused && { refused: { version: refused.version, problems } }) }));
}

/** Reads what a hub said; `undefined` when it is none of this. */
export function decodeWord(bytes: Uint8Array): HubWord | undefined {
  try {
    return shape.parse(JSON.parse(Buffer.from(bytes).toString("utf8")));
  } catch {
    return undefined;
  }
}
