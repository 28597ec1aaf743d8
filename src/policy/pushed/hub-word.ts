import { z } from "zod";

/** Who stores a word may be anybody that NATS lets: what is shown to people is of a known form, and cannot steer a terminal. */
const version = z.string().regex(/^[0-9a-f]{12}$/);
const steers = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu;
const line = (most: number) =>
  z
    .string()
    .max(most)
    .transform((said) => said.replaceAll(steers, "?"));
const lines = (most: number) =>
  z
    .string()
    .max(most)
    .transform((said) => said.replaceAll(steers, (found) => (found === "\n" ? found : "?")));

const shape = z.object({
  /** The hub's name: its machine and what tells it from others there. */
  hub: z.string().regex(/^[A-Za-z0-9-]{1,200}$/),
  /** The version that serves. */
  serves: version,
  /** When it came to serve, in RFC 3339 by the hub's clock, and how long that took after the hub had heard of it. */
  since: z.iso.datetime().max(40).optional(),
  tookMs: z.number().nonnegative().optional(),
  /** The version that it last refused, and why, in words for people. */
  refused: z.object({ version, problems: z.array(lines(4000)).max(10) }).optional(),
  /** Why it could not have what holds when it last looked. */
  lacks: line(500).optional(),
});

/** What a hub says of its policies. */
export type HubWord = z.output<typeof shape>;

/** The most that a word is, in bytes. */
const maxBytes = 256 * 1024;

export function encodeWord({ refused, lacks, ...word }: HubWord): Uint8Array {
  const problems = refused?.problems.slice(0, 10).map((text) => text.slice(0, 4000));
  return Buffer.from(
    JSON.stringify({
      ...word,
      ...(refused && { refused: { version: refused.version, problems } }),
      ...(lacks === undefined ? {} : { lacks: lacks.slice(0, 500) }),
    }),
  );
}

/** Reads what a hub said under its name; `undefined` when it is none of this. */
export function decodeWord(bytes: Uint8Array, hub: string): HubWord | undefined {
  if (bytes.length > maxBytes) return undefined;
  try {
    const word = shape.parse(JSON.parse(Buffer.from(bytes).toString("utf8")));
    return word.hub === hub ? word : undefined;
  } catch {
    return undefined;
  }
}
