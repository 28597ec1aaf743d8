import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";

const root = fileURLToPath(new URL("../..", import.meta.url));

function tree(folder: string): Record<string, string> {
  return Object.fromEntries(
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .sort()
      .map((file) => [file.slice(folder.length), readFileSync(file, "utf8")]),
  );
}

test("src/wire/gen is what proto/ generates", (t) => {
  const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    scripts: Record<string, string>;
  };
  const out = mkdtempSync(join(tmpdir(), "weir-gen-"));
  try {
    execFileSync("npm", ["run", "generate", "--silent", "--", "--output", out], {
      cwd: root,
      stdio: ["ignore", "ignore", "pipe"],
      shell: false,
    });
    t.truthy(scripts["generate"]);
    t.deepEqual(Object.keys(tree(join(out, "src/wire/gen"))), Object.keys(tree(join(root, "src/wire/gen"))));
    t.deepEqual(tree(join(out, "src/wire/gen")), tree(join(root, "src/wire/gen")));
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
});
