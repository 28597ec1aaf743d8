import { dirname, isAbsolute, join, relative, resolve } from "node:path";
import type { Adapter } from "../sdk/index.ts";
import { readTextFile, Unreadable } from "../util/text-file.ts";
import type { Timers } from "../util/timers.ts";
import type { ImportAdapter } from "./config/adapter-definition.ts";
import { compileFiles, tooLarge } from "./compile.ts";
import type { Compiled, PolicyFile } from "./compile.ts";
import { defaultPolicyBytes, readConfig } from "./config/config.ts";
import type { ListenOverrides } from "./config/config.ts";
import { listPolicyFiles } from "./files.ts";
import { importAdapter as importFromDisk } from "./config/import-adapter.ts";
import type { Problem } from "./problem.ts";
import { Problems } from "./problems.ts";
import { readCopy } from "./pushed/copy.ts";
import type { PushedSet } from "./pushed/pushed-set.ts";
import { Reading } from "./shape/shape.ts";
import type { AdapterEntry } from "./snapshot.ts";
import { tryCredentials } from "./config/try-credentials.ts";
import { readYaml } from "./yaml/read-yaml.ts";
import { ownPart, readShipped } from "./shipped.ts";
import { problemOfFile, sourceOf } from "./yaml/source.ts";

export interface LoadOptions {
  /**
   * Path of `weir.yaml`, which must be there. Left out: `weir.yaml` in `cwd`, else the one in the folder that `policies`
   * names, where there is one; else everything has its default.
   */
  readonly config?: string | undefined;
  /** Folder of the policy files, instead of the one that `weir.yaml` names. */
  readonly policies?: string | undefined;
  /** The folder that `config` and `policies` are meant from, and paths are shown from. Absolute. */
  readonly cwd: string;
  /** The adapters that come with Weir, by name. */
  readonly adapters: ReadonlyMap<string, Adapter>;
  readonly listen?: ListenOverrides | undefined;
  /**
   * `try`: mistakes in the files that `weir.yaml` names, of certificates, tokens and adapters, are problems too. `leave`:
   * they are not read, since a hub that serves takes up theirs and those of policies apart. Default: `try`.
   */
  readonly namedFiles?: "try" | "leave" | undefined;
  /** Default: imports a path or a package as seen from the folder of `weir.yaml`. */
  readonly importAdapter?: ImportAdapter | undefined;
  /** Default: Node's. */
  readonly timers?: Timers | undefined;
  /** Gives the set that was pushed, or says why there is none. Default: the copy of the last one that served here. */
  readonly pushed?: ((store: PushedStore) => Promise<PushedSet | Unreadable>) | undefined;
  /** Told of files and folders just before they are read, in the order of {@link Loaded.files}. */
  readonly beforeReading?: ((paths: readonly string[]) => Promise<void>) | undefined;
}

/** Where policies are pushed to. */
export interface PushedStore {
  readonly entry: AdapterEntry;
  readonly copy: string;
  /** The `weir.yaml` that names it, absolute. */
  readonly config: string;
  /** The folder that relative paths of the adapter's configuration are meant from. */
  readonly folder: string;
}

export type Loaded = Compiled & {
  /** The `weir.yaml` that was read, absolute; `undefined` when there was none. */
  readonly config: string | undefined;
  /**
   * What the outcome depends on, absolute: the places where `weir.yaml` was looked for, and the folder of the policy
   * files with all that is in it. When something changes there, load again.
   */
  readonly files: readonly string[];
};

/** Reads `weir.yaml` and the policy files from disk and compiles them. No adapter instance is made. Never rejects. */
export async function loadPolicies(options: LoadOptions): Promise<Loaded> {
  const { cwd } = options;
  const problems = new Problems();
  const show = (path: string) => {
    const near = relative(cwd, path);
    return near === "" || near.startsWith("..") || isAbsolute(near) ? path : near;
  };

  const named = options.config !== undefined;
  const places = named ? [options.config] : ["weir.yaml"];
  if (!named && options.policies !== undefined) places.push(join(options.policies, "weir.yaml"));
  const configs = places.map((place) => resolve(cwd, place));
  await options.beforeReading?.(configs);
  let configPath = configs[0]!;
  let configText: string | Unreadable = await readTextFile(configPath, defaultPolicyBytes);
  for (const path of configs.slice(1)) {
    if (typeof configText === "string" || configText.reason !== "absent") break;
    const text = await readTextFile(path, defaultPolicyBytes);
    if (typeof text === "string" || text.reason !== "absent") [configPath, configText] = [path, text];
  }
  let reading: Reading | undefined;
  if (typeof configText === "string") reading = new Reading(sourceOf(show(configPath), configText), problems);
  else if (named || configText.reason !== "absent") {
    // Where the policies are and what they may name is not known: nothing else can be said of them.
    problems.add(problemOf(show(configPath), configText));
    return { problems: problems.sorted(), omitted: 0, config: undefined, files: configs };
  }
  const config = await readConfig(reading === undefined ? [] : readYaml(reading.source, problems), reading, {
    builtin: options.adapters,
    folder: dirname(configPath),
    importAdapter: options.importAdapter ?? importFromDisk,
    inspectFiles: options.namedFiles === "leave" ? undefined : show,
    timers: options.timers,
    listen: options.listen,
    tryCredentials: options.namedFiles === "leave" ? undefined : tryCredentials,
    policies: options.policies === undefined ? undefined : resolve(cwd, options.policies),
  });

  const { policies, pushed } = config.settings;
  const text = typeof configText === "string" ? configText : undefined;
  if (pushed !== undefined && options.policies === undefined) {
    const entry = config.adapters.get(pushed.adapter);
    const store = entry && { entry, copy: pushed.copy, config: configPath, folder: dirname(configPath) };
    const set = store && (await (options.pushed ?? setOfCopy)(store));
    if (set instanceof Unreadable) {
      const message = `there are no policies: ${set.message}`;
      problems.add(problemOfFile(show(configPath), { code: "WEIR_PUSHED_POLICIES", message }));
    }
    const files = set === undefined || set instanceof Unreadable ? [] : set.files;
    const version = set === undefined || set instanceof Unreadable ? undefined : set.version;
    const compiled = await compileFiles(config, text, files, problems, await readShipped(config), version);
    return { ...compiled, config: configPath, files: configs };
  }
  await options.beforeReading?.([policies]);
  const { files, unreadable } = await listPolicyFiles(policies, configPath);
  for (const { path, message } of unreadable) {
    const hint =
      path === policies ? "the folder of the policies is named by --policies, or by policies: in weir.yaml" : undefined;
    problems.add({ ...problemOf(show(path), new Unreadable(message)), ...(hint !== undefined && { hint }) });
  }
  if (files.length === 0 && unreadable.length === 0) {
    const message = "the folder has no policy files (*.yaml): every request passes";
    problems.add(problemOfFile(show(policies), { code: "WEIR_POLICY_NO_RULES", message, severity: "warning" }));
  }
  const limit = config.settings.limits.policyBytes;
  const compiled = await compileFiles(
    config,
    text,
    readAll(files, limit, show, problems),
    problems,
    await readShipped(config),
  );
  const loaded = { config: reading && configPath, files: [...configs, policies] };
  if (files.length === 0 || "problems" in compiled || ownPart(compiled.snapshot).policies.length > 0)
    return { ...compiled, ...loaded };
  const message = "no file of the folder has a policy: every request passes";
  const warning = problemOfFile(show(policies), { code: "WEIR_POLICY_NO_RULES", message, severity: "warning" });
  return { ...compiled, warnings: [warning, ...compiled.warnings], ...loaded };
}

async function setOfCopy({ copy }: PushedStore): Promise<PushedSet | Unreadable> {
  return (await readCopy(copy)) ?? new Unreadable("policies are pushed, and no copy of such is kept here yet");
}

async function* readAll(
  paths: readonly string[],
  limit: number,
  show: (path: string) => string,
  problems: Problems,
): AsyncGenerator<PolicyFile> {
  for (const path of paths) {
    const text = await readTextFile(path, limit);
    if (text instanceof Unreadable)
      problems.add(text.reason === "too_large" ? tooLarge(show(path), limit) : problemOf(show(path), text));
    else yield { path: show(path), text };
  }
}

function problemOf(path: string, { message, reason }: Unreadable): Problem {
  const large = reason === "too_large";
  const code = large ? "WEIR_FILE_TOO_LARGE" : "WEIR_FILE_UNREADABLE";
  return problemOfFile(path, { code, message: large ? message : `the file could not be read: ${message}` });
}
