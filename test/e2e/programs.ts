import { spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants, existsSync, mkdirSync } from "node:fs";
import { delimiter, join } from "node:path";
import type { ExecutionContext } from "ava";
import { projectRoot } from "./hub.ts";

/** A program of others that tests run. */
export interface Program {
  readonly path: string;
  /** What its environment needs beside the test's own. */
  readonly env: Readonly<Record<string, string>>;
}

/** A program that cannot be had here: `WHAT: HOW TO GET IT`, as `test/run.ts` lists it. */
export interface Gap {
  readonly gap: string;
}

/** Where a program comes from when it is not on the machine. */
export interface Recipe {
  /** The program's path within the folder that the script fills. */
  readonly file: string;
  /**
   * Fills the folder `$1`. A POSIX shell script that runs with `-e`, under a lock of this clone and in a folder of its
   * own, beside those of other programs; it must change nothing else on the machine.
   */
  readonly script: string;
  /** How a person gets it. */
  readonly how: string;
  readonly env?: (folder: string) => Readonly<Record<string, string>>;
}

const cache = join(projectRoot, ".cache", "programs");
/** How long a recipe may take. */
const installMs = 600_000;

/**
 * Finds a program: the path in the environment variable `NAME_BIN`, or on the search path, or in the clone's cache;
 * else runs its recipe into the cache, unless `WEIR_TEST_PROGRAMS=fetched` says that this was tried (`test/run.ts`).
 * `name` may carry a version (`envoy-1.30`), then only cache and variable count.
 */
export async function program(name: string, recipe: Recipe): Promise<Program | Gap> {
  const variable = `${name.toUpperCase().replaceAll(/[^A-Z0-9]/g, "_")}_BIN`;
  const given = process.env[variable];
  if (given !== undefined) return { path: given, env: {} };
  const found = onSearchPath(name);
  if (found !== undefined) return { path: found, env: {} };
  const folder = join(cache, name);
  const path = join(folder, recipe.file);
  if (!existsSync(path)) {
    if (process.env["WEIR_TEST_PROGRAMS"] === "fetched") return { gap: `${name}: ${recipe.how}, or set ${variable}` };
    mkdirSync(cache, { recursive: true });
    // The lock is the kernel's: it ends with its holder, whatever that ended of.
    const script = `test -e '${path}' && exit 0; rm -rf '${folder}' '${folder}.new'; mkdir -p '${folder}.new'
      set -- '${folder}.new'\n${recipe.script}\nmv '${folder}.new' '${folder}'`;
    const child = spawn("flock", [join(cache, `${name}.lock`), "sh", "-ec", script], {
      stdio: ["ignore", "ignore", "pipe"],
      timeout: installMs,
    });
    let stderr = "";
    child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
    const [code] = await Promise.race([once(child, "close"), once(child, "error").then(() => [127])]);
    if (code !== 0 || !existsSync(path)) {
      const why = stderr.trim().split("\n").at(-1) ?? "";
      return { gap: `${name}: ${recipe.how}, or set ${variable}${why === "" ? "" : ` (${why.slice(0, 160)})`}` };
    }
  }
  return { path, env: recipe.env?.(folder) ?? {} };
}

/**
 * A program from Debian's packages. They are unpacked into the cache, not installed: no service starts, nothing of the
 * machine changes, and it takes no rights. Libraries that are missing come along.
 */
export function debian(packages: readonly string[], file: string): Recipe {
  const apt = `apt-get -qq -y -o Debug::NoLocking=1 -o APT::Sandbox::User= -o Dir::State::lists="$1/lists" \
    -o Dir::Cache::archives="$1/archives" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=`;
  return {
    file,
    script: `
      mkdir -p "$1/lists/partial" "$1/archives/partial"
      ${apt} update >/dev/null
      ${apt} --no-install-recommends --download-only install ${packages.join(" ")} >/dev/null
      for package in "$1"/archives/*.deb; do if test -e "$package"; then dpkg-deb -x "$package" "$1"; fi; done
      rm -rf "$1/lists" "$1/archives"`,
    how: `apt-get install ${packages.join(" ")}`,
    env: (folder) => ({
      LD_LIBRARY_PATH: ["x86_64-linux-gnu", "aarch64-linux-gnu"]
        .map((triplet) => join(folder, "usr/lib", triplet))
        .join(delimiter),
    }),
  };
}

/** Ends a test that has nothing to run with, in the way that `test/run.ts` collects. */
export function notRun(t: ExecutionContext, { gap }: Gap): void {
  t.log(`not run: ${gap}`);
  t.pass();
}

function onSearchPath(name: string): string | undefined {
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin", "/usr/local/sbin"];
  return folders
    .map((folder) => join(folder, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}
