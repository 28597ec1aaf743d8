import { isDeepStrictEqual } from "node:util";
import type { JsonValue, LogEntry, Span } from "../../sdk/index.ts";
import type { Sample } from "./outcome.ts";
import type { Difference } from "./difference.ts";
import type { ExpectedLog, ExpectedMetric, ExpectedSpan } from "./test-file.ts";

/** One series and what a step did to it. */
interface Series {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** What a counter grew by; the values that a gauge or histogram took, in order. */
  readonly value: number | readonly number[];
}

/** Holds expected metrics against what was counted. An empty list says that nothing was counted. */
export function compareMetrics(expected: readonly ExpectedMetric[], samples: readonly Sample[]): Difference[] {
  const series = seriesOf(samples);
  if (expected.length === 0 && series.length > 0) {
    return [{ what: "metrics", expected: [], found: series.map(({ name }) => name) }];
  }
  const differences: Difference[] = [];
  for (const wanted of expected) {
    const named = series.filter(({ name }) => name === wanted.name);
    const labelled = named.filter(({ labels }) =>
      [...(wanted.labels ?? [])].every(([name, value]) => labels[name] === value),
    );
    const what = `metrics.${wanted.name}`;
    const labels = Object.fromEntries(wanted.labels ?? []);
    if (wanted.absent === true) {
      if (labelled.length > 0) differences.push({ what, expected: null, found: labelled.map(show) });
    } else if (labelled.length === 0) {
      // Of the labels only those that the test names say why no series is the one.
      const names = Object.keys(labels);
      const found = named.map((each) => Object.fromEntries(names.map((name) => [name, each.labels[name] ?? null])));
      differences.push({ what, expected: { labels }, found: named.length === 0 ? null : found });
    } else if (wanted.value !== undefined && !labelled.some(({ value }) => sameValue(wanted.value, value))) {
      // One series has the labels that the test names; of several, all their labels tell them apart.
      const found = labelled.length === 1 ? { labels, value: asWritten(labelled[0]!.value) } : labelled.map(show);
      differences.push({ what, expected: { labels, value: asWritten(wanted.value) }, found });
    }
  }
  return differences;
}

function seriesOf(samples: readonly Sample[]): Series[] {
  const found = new Map<string, Series>();
  for (const { metric, kind, labels, value } of samples) {
    const key = JSON.stringify([metric, labels]);
    const held = found.get(key)?.value;
    const next =
      kind === "counter" ? ((held as number | undefined) ?? 0) + value : [...((held as number[]) ?? []), value];
    found.set(key, { name: metric, labels, value: next });
  }
  return [...found.values()];
}

function sameValue(expected: ExpectedMetric["value"], found: Series["value"]): boolean {
  const wanted = expected ?? [];
  const values = typeof found === "number" ? [found] : found;
  return (
    wanted.length === values.length &&
    wanted.every((value, i) => Math.abs(value - values[i]!) <= 1e-9 * Math.max(1, Math.abs(value)))
  );
}

function show({ labels, value }: Series): JsonValue {
  return { labels, value: asWritten(value) };
}

/** A single value as a test has it: by itself. */
function asWritten(value: Series["value"]): JsonValue {
  return typeof value !== "number" && value.length === 1 ? value[0]! : value;
}

/** Holds expected log entries against what was logged. An empty list says that nothing was logged. */
export function compareLogs(expected: readonly ExpectedLog[], entries: readonly LogEntry[]): Difference[] {
  if (expected.length === 0 && entries.length > 0) {
    return [{ what: "logs", expected: [], found: entries.map(({ name }) => name) }];
  }
  const differences: Difference[] = [];
  for (const wanted of expected) {
    const named = entries.filter(({ name }) => name === wanted.log);
    const matching = named.filter(
      ({ severity, fields }) =>
        (wanted.severity === undefined || wanted.severity === severity) &&
        [...(wanted.fields ?? [])].every(([name, value]) => isDeepStrictEqual(fields[name] ?? null, value)),
    );
    const what = `logs.${wanted.log}`;
    if (wanted.absent === true) {
      if (matching.length > 0) differences.push({ what, expected: null, found: matching.map(({ fields }) => fields) });
    } else if (matching.length === 0) {
      const severity = wanted.severity === undefined ? {} : { severity: wanted.severity };
      const names = [...(wanted.fields?.keys() ?? [])];
      const found = named.map((entry) => ({
        ...(wanted.severity !== undefined && { severity: entry.severity }),
        fields: Object.fromEntries(names.map((name) => [name, entry.fields[name] ?? null])),
      }));
      const fields = Object.fromEntries(wanted.fields ?? []);
      differences.push({ what, expected: { ...severity, fields }, found: named.length === 0 ? null : found });
    }
  }
  return differences;
}

/** Holds expected spans against those that were made. An empty list says that none was. */
export function compareSpans(expected: readonly ExpectedSpan[], spans: readonly Span[]): Difference[] {
  if (expected.length === 0 && spans.length > 0) {
    return [{ what: "spans", expected: [], found: spans.map(({ name }) => name) }];
  }
  const differences: Difference[] = [];
  for (const { attributes, absent, ...wanted } of expected) {
    const told = Object.entries(wanted).filter(([, value]) => value !== undefined);
    const shown = (span: Span): JsonValue => ({
      ...Object.fromEntries(
        told.map(([key]) => [key, factOf(span, key as Exclude<keyof ExpectedSpan, "attributes" | "absent">)]),
      ),
      ...(attributes !== undefined && {
        attributes: Object.fromEntries([...attributes.keys()].map((name) => [name, span.attributes[name] ?? null])),
      }),
    });
    const wholly = {
      ...Object.fromEntries(told),
      ...(attributes !== undefined && { attributes: Object.fromEntries(attributes) }),
    } as JsonValue;
    const found = spans.map(shown);
    const isThere = found.some((span) => isDeepStrictEqual(span, wholly));
    if (absent === true) {
      if (isThere) differences.push({ what: "spans", expected: null, found });
    } else if (!isThere)
      differences.push({ what: "spans", expected: wholly, found: found.length === 0 ? null : found });
  }
  return differences;
}

/** What a test says of a span, as the span has it. */
function factOf(span: Span, key: Exclude<keyof ExpectedSpan, "attributes" | "absent">): JsonValue {
  switch (key) {
    case "trace":
      return span.traceId;
    case "id":
      return span.spanId;
    case "parent":
      return span.parentId ?? null;
    case "service":
      return span.service.name;
    case "duration":
      return Math.round((span.endMs - span.startMs) * 1e3) / 1e3;
    default:
      return span[key];
  }
}
