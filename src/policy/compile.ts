import { Layout } from "../attributes/layout.ts";
import type { Adapter } from "../sdk/index.ts";
import type { ImportAdapter } from "./config/adapter-definition.ts";
import { ContentHash } from "./canonical.ts";
import { compilePolicy } from "./compile/policy.ts";
import { ProducedAttributes } from "./compile/produced.ts";
import type { PolicySet } from "./compile/policy.ts";
import { readConfig } from "./config/config.ts";
import type { Config, ListenOverrides } from "./config/config.ts";
import { MetricFamilies } from "./compile/metric-families.ts";
import { policyShape, type RawPolicy } from "./schema/policy.ts";
import type { RawReportRule } from "./schema/report-rule.ts";
import type { Problem } from "./problem.ts";
import { compareText, Problems } from "./problems.ts";
import { graphAttributes } from "./graph-attributes.ts";
import { type Layouts, RuleExpressions } from "./compile/rule-expressions.ts";
import { Reading } from "./shape/shape.ts";
import { declareTraceHeaders } from "./span-facts.ts";
import type { AdapterEntry, Snapshot } from "./snapshot.ts";
import { OwnTexts } from "../util/own-texts.ts";
import { readYaml, readYamlInTurns } from "./yaml/read-yaml.ts";
import { problemAt, problemOfFile, sourceOf } from "./yaml/source.ts";
import type { Source } from "./yaml/source.ts";

/** A file's path, as people are shown it, and its text. */
export interface PolicyFile {
  readonly path: string;
  readonly text: string;
}

/** A policy set that is ready to serve, or every problem that stands in its way. */
export type Compiled =
  | { readonly snapshot: Snapshot; readonly warnings: readonly Problem[] }
  | {
      /** Errors, at least one, and warnings, by file and line. At most 1,000. */
      readonly problems: readonly Problem[];
      /** How many more problems there are. */
      readonly omitted: number;
    };

export interface CompileOptions {
  /** `weir.yaml`; left out: everything has its default. */
  readonly config?: PolicyFile | undefined;
  /** The policy files, in any order. */
  readonly files: readonly PolicyFile[];
  /** The adapters that come with Weir, by name. */
  readonly adapters: ReadonlyMap<string, Adapter>;
  /** The folder that relative paths are meant from, absolute. */
  readonly folder: string;
  readonly listen?: ListenOverrides;
  /** Imports an adapter that is not built in. Left out: none can be. */
  readonly importAdapter?: ImportAdapter;
}

/** Compiles the texts of `weir.yaml` and of policy files. Touches nothing outside; no adapter instance is made. */
export async function compilePolicies(options: CompileOptions): Promise<Compiled> {
  const problems = new Problems();
  const reading = options.config && new Reading(sourceOf(options.config.path, options.config.text), problems);
  const config = await readConfig(reading === undefined ? [] : readYaml(reading.source, problems), reading, {
    builtin: options.adapters,
    folder: options.folder,
    importAdapter:
      options.importAdapter ?? (() => Promise.reject(new Error("adapters of one's own cannot be loaded here"))),
    listen: options.listen,
  });
  const files = [...options.files].sort((a, b) => compareText(a.path, b.path));
  return compileFiles(config, options.config?.text, files, problems);
}

/** Milliseconds of work after which others get their turn: a hub that reloads goes on answering. */
const turnMs = 10;

/**
 * Compiles policy files with a configuration that was read. Files come one by one, in the order of their paths, and the
 * tree of each is let go before the next. Of the policies that ship with Weir, those are left out whose name, or one of
 * whose metrics, the files before have: they take its place.
 *
 * @param version of the set, where it has one; left out: it is made of the texts of all files and of the configuration
 */
export async function compileFiles(
  config: Config,
  configText: string | undefined,
  files: Iterable<PolicyFile> | AsyncIterable<PolicyFile>,
  problems: Problems,
  shipped: Iterable<PolicyFile> = [],
  version?: string,
): Promise<Compiled> {
  const { settings, vocabulary, adapters } = config;
  const layouts: Layouts = { check: new Layout(), report: new Layout() };
  // To be refused, an encoded slash must be seen, whatever the rules read.
  if (settings.doors.encodedSlash === "refuse") layouts.check.declare("request.url_path", "string");
  if (settings.telemetry.exemplars) declareTraceHeaders(layouts.report);
  if (settings.telemetry.traces !== undefined) declareTraceHeaders(layouts.check);
  if (settings.telemetry.graph.windowMs > 0)
    for (const [name, type] of Object.entries(graphAttributes)) layouts.report.declare(name, type);
  const limits = { maxLength: settings.limits.expressionLength, maxCost: settings.limits.expressionCost };
  const expressions = new RuleExpressions(vocabulary, layouts, limits);
  const { share } = settings.check;
  const { listen } = settings;
  const set: PolicySet = { expressions, adapters, share, listen, policies: new Map(), checks: [], reports: [] };
  const families = new MetricFamilies(adapters);
  const hash = new ContentHash().add(configText ?? "");
  const turn = turns();
  const texts = new OwnTexts();
  const compileFile = async ({ path, text }: PolicyFile, isWanted: (raw: RawPolicy) => boolean): Promise<void> => {
    hash.add(text);
    const reading = new Reading(sourceOf(path, text), problems);
    for (const document of await readYamlInTurns(reading.source, problems, turn, texts)) {
      const raw = policyShape.read(document, reading);
      if (raw === undefined || !isWanted(raw)) continue;
      const first = set.reports.length;
      compilePolicy(set, reading, raw);
      for (let i = first; i < set.reports.length; i++) holdFamily(families, set.reports[i]!, reading.source, problems);
      const others = turn();
      if (others !== undefined) await others;
    }
  };
  for await (const file of files) {
    if (file.text.length <= settings.limits.policyBytes) await compileFile(file, () => true);
    else problems.add(tooLarge(file.path, settings.limits.policyBytes));
  }
  for (const file of shipped) {
    await compileFile(file, ({ policy, report }) => {
      const isHeld = (rule: RawReportRule): boolean =>
        rule.kind === "metric" &&
        families.holds({ to: "prometheus", metric: rule.metric!.value, type: rule.type!.value });
      return !set.policies.has(policy!.value) && !report?.items.some(isHeld);
    });
  }
  const made = new ProducedAttributes(config.produced, adapters, vocabulary, limits);
  if (problems.errors > 0) return { problems: problems.sorted(), omitted: problems.omitted };
  const warnings = problems.sorted();
  const produced = {
    check: made.productions("check", expressions),
    report: made.productions("report", expressions),
  };
  return { snapshot: snapshotOf(config, set, layouts, produced, version ?? hash.digest()), warnings };
}

/** Gives a promise when it is time for others, that they have had their turn. */
function turns(): () => Promise<void> | undefined {
  let since = performance.now();
  return () => {
    if (performance.now() - since <= turnMs) return undefined;
    return new Promise((resume) =>
      setImmediate(() => {
        since = performance.now();
        resume();
      }),
    );
  };
}

/** The problem of a file that is larger than the limit. */
export function tooLarge(path: string, limit: number): Problem {
  const message = `the file is larger than ${limit} bytes`;
  return problemOfFile(path, {
    code: "WEIR_FILE_TOO_LARGE",
    message,
    hint: "split it, or raise limits.policy in weir.yaml",
  });
}

/** Holds a metric against the rules before it that feed the same one, or one that is shown alike. */
function holdFamily(
  families: MetricFamilies,
  rule: PolicySet["reports"][number],
  source: Source,
  problems: Problems,
): void {
  if (rule.kind !== "metric") return;
  const finding = families.add(rule);
  if (finding === undefined) return;
  const start = source.lines[rule.place.line - 1]! + rule.place.column - 1;
  problems.add(problemAt(source, start, start + 1, finding));
}

function snapshotOf(
  config: Config,
  set: PolicySet,
  layouts: Layouts,
  produced: Snapshot["produced"],
  version: string,
): Snapshot {
  const byRule = (a: { policy: { name: string }; name: string }, b: typeof a) =>
    compareText(a.policy.name, b.policy.name) || compareText(a.name, b.name);
  const adapters = new Map<string, AdapterEntry>();
  for (const [name, entry] of config.adapters) if (entry !== undefined) adapters.set(name, entry);
  const checks = set.checks.sort(byRule);
  // The last write to rules that nobody else has seen yet.
  for (const [ordinal, rule] of checks.entries()) (rule as { ordinal: number }).ordinal = ordinal;
  return {
    version,
    settings: config.settings,
    vocabulary: config.vocabulary,
    layout: layouts.check,
    reportLayout: layouts.report,
    policies: [...set.policies.values()].sort((a, b) => compareText(a.name, b.name)),
    checks: checks,
    reports: set.reports.sort(byRule),
    adapters,
    produced,
  };
}
