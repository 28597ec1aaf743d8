import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";
import { standardVocabulary } from "../../../../src/attributes/standard-vocabulary.ts";
import { open } from "./door.ts";
import { fullHttp, fullTcp, httpEntry, identifier, message, tcpEntry } from "./entries.ts";
import { mapping } from "./mapping.ts";

const page = readFileSync(
  join(dirname(fileURLToPath(import.meta.url)), "../../../../../docs/doors/access-log.md"),
  "utf8",
);

/** Every attribute that there is, maps as a whole; `origin.user` comes by a custom tag. */
const everything = [...standardVocabulary.values()].map(({ name, type }) =>
  type === "string_map" ? `${name}[*]` : name,
);

test("docs/doors/access-log.md shows the mapping as it is held here", (t) => {
  const rows = page
    .split("\n")
    .filter((line) => /^\| `[a-z_A-Z.]+` +\|/.test(line))
    .map((line) =>
      line
        .slice(1, -1)
        .split("|")
        .map((cell) => cell.trim()),
    )
    .filter(([, , kinds]) => /^(HTTP|TCP|HTTP, TCP)$/.test(kinds ?? ""));
  t.deepEqual(
    rows.map(([attribute, from, kinds]) => [attribute, from, kinds]),
    mapping.map(({ attribute, from, http, tcp }) => [
      `\`${attribute}\``,
      from,
      http === undefined ? "TCP" : tcp === undefined ? "HTTP" : "HTTP, TCP",
    ]),
  );
});

for (const kind of ["http", "tcp"] as const) {
  test(`a full ${kind} entry brings all of the mapping and nothing else`, (t) => {
    const { incoming, records, observer } = open(everything);
    const entry = kind === "http" ? { http: [httpEntry(fullHttp)] } : { tcp: [tcpEntry(fullTcp)] };
    incoming.message(message(entry, identifier));
    const expected = Object.fromEntries(
      mapping.flatMap((row) => (row[kind] === undefined ? [] : [[row.attribute, row[kind]]])),
    );
    const { "origin.user": user, ...record } = records.at(-1)!;
    t.is(user, "ann");
    t.deepEqual(record, expected);
    t.deepEqual(
      observer.drops.filter((line) => !line.endsWith(" 0")),
      [],
    );
  });
}

test("an attribute that no rule reads is not looked for, and one that is alone is found alone", (t) => {
  for (const kind of ["http", "tcp"] as const) {
    const entry = kind === "http" ? { http: [httpEntry(fullHttp)] } : { tcp: [tcpEntry(fullTcp)] };
    for (const row of mapping) {
      const map = standardVocabulary.get(row.attribute)!.type === "string_map";
      const { incoming, records } = open([map ? `${row.attribute}[*]` : row.attribute]);
      incoming.message(message(entry, identifier));
      t.deepEqual(records.at(-1), row[kind] === undefined ? {} : { [row.attribute]: row[kind] }, row.attribute);
    }
  }
});
