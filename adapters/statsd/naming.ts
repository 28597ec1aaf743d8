import type { MetricGroup, SeriesFamily } from "weir/sdk";
import type { StatsdConfig } from "./config.ts";

export type NamingOptions = Pick<StatsdConfig, "dialect" | "prefix" | "names" | "tags">;

/** How one series is called: its name, and for dogstatsd what stands at a line's end, `|#label:value,...`. */
export interface SeriesName {
  readonly name: string;
  readonly tags: string;
}

/** Throws when the name of a metric asks for a label that the metric does not have. */
export function checkTemplates({ labels, metrics }: MetricGroup, { names }: NamingOptions): void {
  for (const { name } of metrics) {
    const given = Object.hasOwn(names, name) ? names[name]! : "";
    for (const [, wanted] of given.matchAll(/\{(\w+)\}/g))
      if (wanted !== "metric" && !labels.includes(wanted!))
        throw new Error(`the name of ${name} asks for the label {${wanted}}, which the metric does not have`);
  }
}

/**
 * How the series of a family are called, by row. Without a name of its own a metric is called as policies call it; for
 * statsd, which has no tags, the values of its labels follow. For dogstatsd labels that are not in the name are tags.
 */
export function nameSeries(family: SeriesFamily, options: NamingOptions): (row: number) => SeriesName {
  const { dialect, prefix, names, tags } = options;
  const { table } = family;
  const bare = dialect === "dogstatsd";
  const usual = ["{metric}", ...(bare ? [] : table.names.map((label) => `{${label}}`))].join(".");
  const template = Object.hasOwn(names, family.name) ? names[family.name]! : usual;
  // What stands between placeholders, at even places, and the placeholders.
  const parts = template.split(/\{([^}]*)\}/);
  const metric = nameText(family.name);
  const columns = parts.map((part, i) => (i % 2 === 0 || part === "metric" ? -1 : table.names.indexOf(part)));
  const rest = table.names.map((label, i) => ({ label: tagText(label), i })).filter(({ i }) => !columns.includes(i));
  const fixed = Object.entries(tags).map(([name, value]) => `${name}:${value}`);

  return (row) => {
    let name = prefix;
    for (const [i, part] of parts.entries()) {
      if (i % 2 === 0) name += part;
      else name += part === "metric" ? metric : nameText(table.value(row, columns[i]!));
    }
    if (!bare) return { name, tags: "" };
    const all = [...fixed];
    for (const { label, i } of rest) {
      const value = tagText(table.value(row, i));
      if (value !== "") all.push(`${label}:${value}`);
    }
    return { name, tags: all.length === 0 ? "" : `|#${all.join(",")}` };
  };
}

/** Text as one level of a name: colons, bars and dots mean something there, and of other characters servers make what they want. */
function nameText(text: string): string {
  return text === "" ? "_" : text.replace(/[^A-Za-z0-9_-]/g, "_");
}

/** Text as a tag: commas, bars and line feeds end it. */
function tagText(text: string): string {
  return text.replace(/[,|\s\p{C}]/gu, "_");
}
