import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { personOf, readTokens } from "../../src/listen/tokens.ts";

const token = "0123456789abcdef";
const hashed = (text: string) => createHash("sha256").update(text).digest("hex");

function folderOf(t: ExecutionContext, files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), "weir-tokens-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return folder;
}

test("a file is a person's, and holds the token or its hash", async (t) => {
  const folder = folderOf(t, {
    "people/ann": `${token}\n`,
    "people/bob@example.com": `sha256:${hashed("a token of bob's own".replaceAll(/[ ']/g, "-"))}`,
    "people/..data": "not looked at",
    eve: "eve's-token-is-her-file",
  });
  const { people, flaws } = await readTokens([join(folder, "people"), join(folder, "eve")]);
  t.deepEqual(flaws, [
    { path: join(folder, "eve"), message: "a token is one word of letters, digits and - . _ ~ + /" },
  ]);
  t.is(personOf(`Bearer ${token}`, people), "ann");
  t.is(personOf("bearer a-token-of-bob-s-own", people), "bob@example.com");
});

const wrong: readonly (readonly [header: string | undefined, why: string])[] = [
  [undefined, "no header"],
  ["", "an empty one"],
  [token, "no scheme"],
  [`Basic ${token}`, "another scheme"],
  [`Bearer ${token}0`, "another token"],
  [`Bearer ${token.slice(0, -1)}`, "a part of a token"],
  [`Bearer  `, "no token"],
  [`Bearer ${token} ${token}`, "two tokens"],
  [`Bearer sha256:${hashed(token)}`, "a hash"],
  [`Bearer ${"a".repeat(100_000)}`, "a long text"],
];

test("only a token that is known is anybody's", async (t) => {
  const { people } = await readTokens([folderOf(t, { ann: token })]);
  for (const [header, why] of wrong) t.is(personOf(header, people), undefined, why);
  t.is(personOf(`Bearer ${token}`, []), undefined);
});

test("a file that cannot be used lets nobody in, and the others are as good as they were", async (t) => {
  const folder = folderOf(t, {
    a: "short",
    b: "sha256:00",
    c: token,
    d: token,
    "e e": "0123456789abcdefe",
    f: "x".repeat(5000),
    g: "",
    "h/deeper": "0123456789abcdefh",
    "other/c": "0123456789abcdefc",
  });
  const { people, flaws } = await readTokens([folder, join(folder, "other"), join(folder, "gone")]);
  t.deepEqual(
    people.map(({ name }) => name),
    ["c"],
  );
  t.deepEqual(
    flaws.map(({ path }) => path.slice(folder.length + 1)),
    ["gone", "a", "b", "d", "e e", "f", "g", "h", "other", "other/c"],
  );
});

test("of very many tokens the first are read, and that there are more is told once", async (t) => {
  const names = Array.from({ length: 1003 }, (_, i) => `p${String(i).padStart(4, "0")}`);
  const { people, flaws } = await readTokens([
    folderOf(t, Object.fromEntries(names.map((name) => [name, `${token}-${name}`]))),
  ]);
  t.deepEqual(
    people.map(({ name }) => name),
    names.slice(0, 1000),
  );
  t.is(flaws.length, 1);
  t.regex(flaws[0]!.message, /more than 1000 tokens/);
});
