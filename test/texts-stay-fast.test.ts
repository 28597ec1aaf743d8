import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import test from "ava";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const { dependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  readonly dependencies: Readonly<Record<string, string>>;
};

// That one is types alone.
const packages = Object.keys(dependencies).filter((name) => name !== "@standard-schema/spec");

/** The prototypes whose methods the hot paths call, as V8 holds them when all of this is loaded. */
async function shapesWith(imports: readonly string[]): Promise<unknown> {
  const script = `
    for (const each of ${JSON.stringify(imports)}) await import(each);
    const shapes = { String, Array, Uint8Array, Buffer, Map, Set };
    for (const name in shapes) shapes[name] = %HasFastProperties(shapes[name].prototype);
    console.log(JSON.stringify(shapes));`;
  const args = ["--allow-natives-syntax", "--input-type=module", "--eval", script];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root });
  return JSON.parse(stdout);
}

const fast = { String: true, Array: true, Uint8Array: true, Buffer: true, Map: true, Set: true };

// A class that extends String anywhere in the process, such as a parser's for a kind of text, makes V8 call charCodeAt and
// its like instead of compiling them into their callers: each character takes five times as long, in all that reads one.
test("nothing that a hub loads makes the methods of texts, lists and bytes slow", async (t) => {
  const own = ["src/index.js", "adapters/index.js"].map((path) => pathToFileURL(join(root, "dist", path)).href);
  t.deepEqual(await shapesWith([...own, ...packages]), fast);
});

test("a class of texts would be noticed", async (t) => {
  const kindOfText = "data:text/javascript,class Verbatim extends String {}";
  t.deepEqual(await shapesWith([kindOfText]), { ...fast, String: false });
});
