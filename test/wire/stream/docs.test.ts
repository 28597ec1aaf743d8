import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";
import { CheckRequest, CheckResponse } from "../../../src/wire/gen/weir/v1/weir.ts";
import { globalWords } from "../../../src/wire/mixer/dictionary.ts";
import { httpStatusOf } from "../../../src/wire/status.ts";
import { refusalCodes } from "../../../src/sdk/index.ts";

const page = readFileSync(join(dirname(fileURLToPath(import.meta.url)), "../../../../docs/wire.md"), "utf8");

/** A message as JSON shows it: 64-bit integers as text, maps as objects, what is not set left out. */
function shown(message: unknown): unknown {
  return JSON.parse(
    JSON.stringify(message, (_, value: unknown) =>
      typeof value === "bigint" ? String(value) : value instanceof Map ? Object.fromEntries(value) : value,
    ),
  );
}

/** Without what is empty: the page need not show it. */
function filled(json: unknown): unknown {
  if (Array.isArray(json)) return json.length === 0 ? undefined : json.map(filled);
  if (typeof json !== "object" || json === null) return json === 0 || json === "" || json === "0" ? undefined : json;
  const entries = Object.entries(json).flatMap(([key, value]) => {
    const kept = filled(value);
    return kept === undefined ? [] : [[key, kept] as const];
  });
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

const examples = [...page.matchAll(/```hex (\w+)\n([0-9a-f\n]+)```\n\n```json\n(.*?)```/gs)];

test("docs/wire.md: the messages in bytes are the messages in JSON", (t) => {
  t.is(examples.length, 5);
  for (const [, type, hex, json] of examples) {
    const decode = type === "CheckRequest" ? CheckRequest.decode : CheckResponse.decode;
    const decoded = shown(decode(Buffer.from(hex!.replaceAll("\n", ""), "hex")));
    t.deepEqual(filled(decoded), filled(JSON.parse(json!)));
  }
});

test("docs/wire.md lists the global dictionary", (t) => {
  const [, list] = /```words\n(.*?)\n```/s.exec(page)!;
  const words = list!.split("\n").map((line) => /^ *(\d+) (.*)$/.exec(line)!);
  t.deepEqual(
    words.map(([, index]) => Number(index)),
    globalWords.map((_, index) => index),
  );
  t.deepEqual(
    words.map(([, , word]) => word),
    [...globalWords],
  );
});

test("docs/wire.md tells the HTTP status of every code", (t) => {
  const [, row] = /\| `code`, `message`\s*\|([^|]*)\|/.exec(page)!;
  for (const [name, code] of Object.entries(refusalCodes)) {
    const status = httpStatusOf(code);
    const told = new RegExp(`${status} [^0-9]*\`${name.toUpperCase()}\``).test(row!);
    t.true(told || status === 500, `${name} ${status}`);
  }
});
