import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");

/**
 * Which rooms a room may import. `types` are rooms of which only types may be imported. `*` stands for every room.
 * ARCHITECTURE.md shows the same table.
 */
const rooms: Readonly<Record<string, { imports: readonly string[]; types?: readonly string[] }>> = {
  util: { imports: [], types: ["sdk"] },
  attributes: { imports: ["util"] },
  sdk: { imports: ["util"] },
  expression: { imports: ["attributes", "util"] },
  listen: { imports: ["util"], types: ["sdk"] },
  policy: { imports: ["attributes", "expression", "listen", "sdk", "util"] },
  runtime: { imports: ["attributes", "expression", "policy", "sdk", "util"] },
  telemetry: { imports: ["attributes", "expression", "policy", "sdk", "util"] },
  wire: { imports: ["attributes", "listen", "util"], types: ["runtime", "telemetry", "sdk", "policy"] },
  // A client speaks the same words as the doors.
  client: { imports: ["attributes", "wire/gen", "wire/mixer/dictionary.ts", "util"] },
  console: { imports: ["listen", "util"], types: ["runtime", "telemetry", "policy", "sdk"] },
  adapters: { imports: [] },
  cli: { imports: ["*"] },
  hub: { imports: ["*"] },
  "weir.ts": { imports: ["*"] },
  "main.ts": { imports: ["*"] },
  "index.ts": { imports: ["*"] },
};

interface Import {
  readonly file: string;
  readonly specifier: string;
  readonly typeOnly: boolean;
}

function sources(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .map((file) => join(folder, file).split(sep).join("/"));
}

function importsOf(file: string): Import[] {
  const text = readFileSync(join(root, file), "utf8");
  const pattern =
    /^\s*(import|export)\s+(type\s+)?(?:[^'";]*?\sfrom\s+)?["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']/gm;
  return [...text.matchAll(pattern)].map((m) => ({
    file,
    specifier: (m[3] ?? m[4])!,
    typeOnly: m[2] !== undefined,
  }));
}

/** The room a file belongs to: the first part of its path under `src`, or `adapters`. */
function roomOf(file: string): string {
  const parts = file.split("/");
  return parts[0] === "src" ? parts[1]! : parts[0]!;
}

function mayImport(from: string, target: string, typeOnly: boolean): boolean {
  const room = rooms[from];
  if (room === undefined) return false;
  const to = roomOf(target);
  if (to === from || room.imports.includes("*")) return true;
  const allows = (list: readonly string[] = []) =>
    list.some((name) => target.startsWith(`src/${name}/`) || target === `src/${name}`);
  return allows(room.imports) || (typeOnly && allows(room.types));
}

const files = [...sources("src"), ...sources("adapters")];

test("every folder and file of src is a room of the table", (t) => {
  const unknown = new Set(files.map(roomOf).filter((room) => rooms[room] === undefined));
  t.deepEqual([...unknown], []);
});

test("ARCHITECTURE.md shows the table as it is held here", (t) => {
  const page = readFileSync(join(root, "ARCHITECTURE.md"), "utf8");
  const table = /^\| room +\| may import .*\n\|[-| ]+\n((?:\|.*\n)+)/m.exec(page);
  const list = (cell: string): string[] => (cell === "" ? [] : cell.split(", ").sort());
  const shown = table![1]!
    .trim()
    .split("\n")
    .flatMap((line) => {
      const [names, imports, types] = line
        .split("|")
        .slice(1, 4)
        .map((cell) => cell.trim()) as [string, string, string];
      const meant = imports === "everything" ? ["*"] : imports === "`weir/sdk` and packages" ? [] : list(imports);
      return list(names).map((name) => [name, meant, list(types)] as const);
    });
  const held = Object.entries(rooms).map(([name, { imports, types = [] }]) => [
    name,
    [...imports].sort(),
    [...types].sort(),
  ]);
  t.deepEqual(shown.sort(), held.sort());
});

test("rooms import only what the table lets them", (t) => {
  const breaches = files.flatMap(importsOf).flatMap(({ file, specifier, typeOnly }) => {
    if (!specifier.startsWith(".")) return [];
    const target = normalize(join(dirname(file), specifier))
      .split(sep)
      .join("/");
    // The list of built-in adapters is the one file that joins them.
    if (file.startsWith("adapters/")) {
      const own = file === "adapters/index.ts" || target.startsWith(`${file.split("/").slice(0, 2).join("/")}/`);
      return own ? [] : [`${file} must not import ${specifier}`];
    }
    return mayImport(roomOf(file), target, typeOnly) ? [] : [`${file} must not import ${specifier}`];
  });
  t.deepEqual(breaches, []);
});

test("adapters reach the hub only through weir/sdk", (t) => {
  const breaches = files
    .filter((file) => file.startsWith("adapters/"))
    .flatMap(importsOf)
    .filter(
      ({ specifier }) =>
        specifier.startsWith("weir") && !["weir/sdk", "weir/sdk/testing", "weir/sdk/zod"].includes(specifier),
    )
    .map(({ file, specifier }) => `${file} must not import ${specifier}`);
  t.deepEqual(breaches, []);
});

test("generated code is met by wire and client only", (t) => {
  const breaches = files
    .flatMap(importsOf)
    .filter(({ specifier, file }) => specifier.includes("/gen/") && !["wire", "client"].includes(roomOf(file)))
    .map(({ file, specifier }) => `${file} must not import ${specifier}`);
  t.deepEqual(breaches, []);
});

test("only main.ts ends the process", (t) => {
  const enders = files.filter(
    (file) =>
      file !== "src/main.ts" &&
      !file.endsWith(".test.ts") &&
      /\bprocess\.exit\b/.test(readFileSync(join(root, file), "utf8")),
  );
  t.deepEqual(enders, []);
});

test("no file is called utils", (t) => {
  t.deepEqual(
    files.filter((file) => /(^|\/)utils?\.ts$/.test(file)),
    [],
  );
});

test("no import makes a circle between rooms", (t) => {
  const edges = new Map<string, Set<string>>();
  for (const { file, specifier, typeOnly } of files.flatMap(importsOf)) {
    if (!specifier.startsWith(".") || typeOnly) continue;
    const from = roomOf(file);
    const to = roomOf(
      relative(root, join(root, dirname(file), specifier))
        .split(sep)
        .join("/"),
    );
    if (from !== to) edges.set(from, (edges.get(from) ?? new Set()).add(to));
  }
  const circle = (room: string, path: readonly string[]): string | undefined => {
    if (path.includes(room)) return [...path, room].join(" -> ");
    for (const next of edges.get(room) ?? []) {
      const found = circle(next, [...path, room]);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  t.is(
    [...edges.keys()].map((room) => circle(room, [])).find((found) => found !== undefined),
    undefined,
  );
});

test("ARCHITECTURE.md names every folder of doors and transports, and no file that is not there", (t) => {
  const page = readFileSync(join(root, "ARCHITECTURE.md"), "utf8");
  const section = /^## Doors and transports\n(.*?)^## /ms.exec(page)![1]!;
  const there = readdirSync(join(root, "src/wire"), { recursive: true, encoding: "utf8" })
    .map((path) => path.split(sep).join("/"))
    .filter((path) => !path.startsWith("gen/"));
  const named = [...section.matchAll(/`([a-z0-9*/-]+(?:\/|\.ts))`/g)].map(([, name]) => name!);
  const missing = named
    .filter((name) => name !== "src/wire/")
    .filter((name) => {
      const pattern = new RegExp(`^${name.replace(/\/$/, "").replaceAll(".", "\\.").replaceAll("*", "[^/]*")}$`);
      return !there.some((path) => pattern.test(path));
    });
  t.deepEqual(missing, []);
  const folders = there.filter((path) => !path.endsWith(".ts"));
  const unnamed = folders.filter((path) => !named.some((name) => name.startsWith(`${path}/`)));
  t.deepEqual(unnamed, []);
});
