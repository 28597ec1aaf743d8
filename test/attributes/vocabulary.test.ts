import { readFileSync } from "node:fs";
import test from "ava";
import { extendVocabulary } from "../../src/attributes/extend-vocabulary.ts";
import { standardVocabulary } from "../../src/attributes/standard-vocabulary.ts";
import { attributeTypes, type AttributeType } from "../../src/attributes/value.ts";

test("docs/attributes.md lists the built-in vocabulary as it is", (t) => {
  const page = readFileSync("docs/attributes.md", "utf8");
  const rows = [...page.matchAll(/^\| `([^`]+)` +\| (\S+) +\| (check|report) +\| (.+?) +\|$/gm)].map((m) => m.slice(1));
  t.deepEqual(
    rows,
    [...standardVocabulary.values()].map((word) => [word.name, word.type, word.known, word.description]),
  );
});

test("docs/attributes.md names every type", (t) => {
  const page = readFileSync("docs/attributes.md", "utf8");
  for (const type of attributeTypes) t.true(page.includes(`\`${type}\``), type);
});

test("no built-in name is there twice, or is the beginning of another", (t) => {
  const names = [...standardVocabulary.keys()];
  t.is(new Set(names).size, names.length);
  for (const name of names)
    t.false(
      names.some((other) => other.startsWith(`${name}.`)),
      name,
    );
});

test("what is only known after the response belongs to report", (t) => {
  for (const word of standardVocabulary.values()) {
    if (/^(response|check|quota)\./.test(word.name)) t.is(word.known, "report", word.name);
    if (/^(source|destination|origin|api)\./.test(word.name)) t.is(word.known, "check", word.name);
  }
  t.is(standardVocabulary.get("connection.duration")?.known, "report");
  t.is(standardVocabulary.get("context.proxy_error_code")?.known, "report");
});

test("an operator's words are added, known at check time", (t) => {
  const { vocabulary, conflicts } = extendVocabulary(standardVocabulary, { "tenant.plan": "string", seats: "int64" });
  t.deepEqual(conflicts, []);
  t.is(vocabulary.size, standardVocabulary.size + 2);
  t.like(vocabulary.get("tenant.plan"), { name: "tenant.plan", type: "string", known: "check" });
  t.like(vocabulary.get("seats"), { type: "int64", known: "check" });
  t.false(standardVocabulary.has("seats"));
});

test("a built-in word that is declared again with its own type stays as it is", (t) => {
  const { vocabulary, conflicts } = extendVocabulary(standardVocabulary, { "response.code": "int64" });
  t.deepEqual(conflicts, []);
  t.is(vocabulary.get("response.code"), standardVocabulary.get("response.code"));
});

const conflicting: [what: string, own: Record<string, AttributeType>, name: string, message: RegExp][] = [
  ["another type for a built-in name", { "source.ip": "string" }, "source.ip", /built in with the type ip/],
  [
    "the beginning of a built-in name",
    { "source.workload": "string" },
    "source.workload",
    /beginning of the attribute/,
  ],
  [
    "a name below a built-in one",
    { "request.headers.x": "string" },
    "request.headers.x",
    /request\.headers is the begin/,
  ],
  ["the beginning of an own name", { "a.b.c": "string", "a.b": "string" }, "a.b", /beginning of the attribute a\.b\.c/],
  ["a name below an own name", { "a.b": "string", "a.b.c": "string" }, "a.b.c", /a\.b is the beginning of a\.b\.c/],
  ["an empty name", { "": "string" }, "", /identifiers joined by dots/],
  ["a name with an empty part", { "a..b": "string" }, "a..b", /identifiers joined by dots/],
  ["a name with a dash", { "tenant-plan": "string" }, "tenant-plan", /identifiers joined by dots/],
  ["a literal of the language", { "a.in": "string" }, "a.in", /"in" is a word/],
  ["a reserved word at the start", { "package.name": "string" }, "package.name", /"package" is a word/],
  ["a name without end", { ["a".repeat(257)]: "string" }, "a".repeat(257), /at most 256/],
];
for (const [what, own, name, message] of conflicting) {
  test(`extending is refused for ${what}`, (t) => {
    const { vocabulary, conflicts } = extendVocabulary(standardVocabulary, own);
    t.is(conflicts.length, 1);
    t.is(conflicts[0]?.name, name);
    t.regex(conflicts[0]?.message ?? "", message);
    t.is(vocabulary.get(name), standardVocabulary.get(name));
  });
}

test("all conflicts are told at once and the good words are kept", (t) => {
  const { vocabulary, conflicts } = extendVocabulary(standardVocabulary, {
    "1": "string",
    ok: "bool",
    "request.path": "ip",
  });
  t.deepEqual(
    conflicts.map(({ name }) => name),
    ["1", "request.path"],
  );
  t.true(vocabulary.has("ok"));
});
