import { z } from "zod";

/** Where a server listens: on UDP, or on a Unix socket for datagrams or for a stream. */
export type Address =
  | { readonly kind: "udp"; readonly host: string; readonly port: number }
  | { readonly kind: "unixgram" | "unixstream"; readonly path: string };

/** The most bytes of a socket's path: `sun_path` of Linux holds 108 with the zero at its end, of macOS 104 (unix(7)). */
const maxPathBytes = 103;

export const address = z.string().transform((text, context): Address => {
  const [, kind, path] = /^(unixgram|unixstream):\/\/(\/.+)$/.exec(text) ?? [];
  if (path !== undefined && Buffer.byteLength(path) <= maxPathBytes && !path.includes("\0"))
    return { kind: kind as "unixgram" | "unixstream", path };
  const [, host, port = "8125"] = /^(\[[0-9a-fA-F:.]+\]|[^:\s/[\]]+)(?::(\d{1,5}))?$/.exec(text) ?? [];
  if (host !== undefined && Number(port) >= 1 && Number(port) <= 65_535)
    return { kind: "udp", host: host.replace(/^\[|\]$/g, ""), port: Number(port) };
  const unix = "unixgram:///PATH or unixstream:///PATH for a Unix socket";
  const expected = `expected HOST or HOST:PORT for UDP, ${unix} (of ${maxPathBytes} bytes at most)`;
  context.addIssue({ code: "custom", message: expected });
  return z.NEVER;
});
