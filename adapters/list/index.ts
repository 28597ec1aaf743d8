import { resolve } from "node:path";
import { defineAdapter, type ConfigIssue, type Verdict } from "weir/sdk";
import { duration, size } from "weir/sdk/zod";
import { z } from "zod";
import { createMatcher, entryFlaw, kinds, maxPatterns } from "./matcher.ts";
import { entriesOf, fileSource, urlSource } from "./source.ts";
import type { Fetch, Source } from "./source.ts";

const config = z
  .strictObject({
    /** Entries that are always on the list. */
    entries: z.array(z.string().min(1)).max(1_000_000).default([]),
    /** A file of entries, one a line. Relative paths are meant from the folder of `weir.yaml`. */
    file: z.string().min(1).optional(),
    /** Where entries are fetched from, one a line. */
    url: z.url({ protocol: /^https?$/ }).optional(),
    /** How often file or URL are read again. */
    refresh: duration(100, 86_400_000).prefault("1m"),
    /** How long the URL may take to answer. */
    timeout: duration(1, 3_600_000).prefault("5s"),
    /** The largest file or answer. */
    maxBytes: size(1).prefault("10MiB"),
    /** How entries are compared with the value. */
    kind: z.enum(kinds).default("string"),
    /** Refuse what is on the list, rather than what is not. */
    deny: z.boolean().default(false),
  })
  .refine((given) => given.file === undefined || given.url === undefined, {
    message: "expected `file` or `url`, got both",
    path: ["url"],
  })
  .refine((given) => given.entries.length > 0 || given.file !== undefined || given.url !== undefined, {
    message: "expected `entries`, `file` or `url`",
  });

/** How many mistakes in entries are told. */
const maxIssues = 20;

/** The adapter over a given `fetch`. */
function listAdapter(fetch: Fetch) {
  return defineAdapter({
    name: "list",
    description: "Allows or refuses what is on a list: given in place, in a file or behind a URL.",
    provides: ["check"],
    input: { value: "any" },
    config,
    inspect,
    async create({ entries, file, url, refresh, timeout, maxBytes, kind, deny }, host) {
      let source: Source | undefined;
      if (file !== undefined) source = fileSource(resolve(host.folder, file), maxBytes);
      if (url !== undefined) source = urlSource(url, maxBytes, timeout, fetch);

      const first = source === undefined ? "" : await source(host.signal, false);
      let matcher = createMatcher(kind, [...entries, ...entriesOf(first ?? "")]);

      if (source !== undefined) {
        const read = source;
        let last = first;
        let held = true;
        host.every(refresh, async () => {
          try {
            const text = await read(host.signal, held);
            if (text === undefined) return;
            held = text === last;
            if (held) return;
            const listed = entriesOf(text);
            matcher = createMatcher(kind, [...entries, ...listed]);
            last = text;
            held = true;
            host.count("refreshed");
            host.log.info({ entries: entries.length + listed.length }, "the list has changed");
          } catch (error) {
            if (host.signal.aborted) return;
            host.count("refresh_failed");
            const reason = error instanceof Error ? error.message : String(error);
            host.log.warn({ reason }, "the list could not be read again: the last good one stays");
          }
        });
      }

      const validity = source === undefined ? {} : { validForMs: refresh };
      const allowed: Verdict = { allow: true, ...validity };
      return {
        check({ value }): Verdict {
          const listed = matcher(value);
          if (listed === undefined) {
            const message = kind === "ip" ? `${quoted(value)} is no IP address` : "the value is too long to be matched";
            return { allow: false, code: "invalid_argument", message, ...validity };
          }
          if (listed !== deny) return allowed;
          const message = `${quoted(value)} is ${deny ? "" : "not "}on the list ${host.name}`;
          return { allow: false, code: "permission_denied", message, ...validity };
        },
      };
    },
  });
}

/** What is wrong with the entries in place and with those of the file; what a URL has is not looked at. */
async function inspect({ entries, file, kind, maxBytes }: z.output<typeof config>, folder: string) {
  const issues: ConfigIssue[] = [];
  for (const [i, entry] of entries.entries()) {
    const message = entryFlaw(kind, entry);
    if (message !== undefined && issues.length < maxIssues) issues.push({ message, path: ["entries", i] });
  }
  if (file === undefined) return issues;
  const path = resolve(folder, file);
  let text: string;
  try {
    text = (await fileSource(path, maxBytes)(new AbortController().signal, false)) ?? "";
  } catch (error) {
    return [...issues, { message: `the list could not be read: ${(error as Error).message}`, path: ["file"] }];
  }
  const listed = entriesOf(text);
  if (kind === "regex" && entries.length + listed.length > maxPatterns)
    issues.push({ message: `expected at most ${maxPatterns} patterns, got more`, path: ["file"] });
  if (listed.every((entry) => entryFlaw(kind, entry) === undefined)) return issues;
  for (const [i, line] of text.split("\n").entries()) {
    const [entry] = entriesOf(line);
    const message = entry === undefined ? undefined : entryFlaw(kind, entry);
    if (message === undefined || issues.length >= maxIssues) continue;
    const at = {
      file: path,
      line: i + 1,
      column: line.indexOf(entry!) + 1,
      length: entry!.length,
      text: line.trimEnd(),
    };
    issues.push({ message, at });
  }
  return issues;
}

/** A value in a message: the caller's own, but never more than a line of it. */
function quoted(value: string): string {
  return JSON.stringify(value.length > 64 ? `${value.slice(0, 64)}...` : value);
}

export default listAdapter((url, init) => fetch(url, init));
