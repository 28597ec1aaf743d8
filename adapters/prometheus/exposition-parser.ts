/** One family of an exposition, as a strict reader of the two text formats sees it. For tests. */
export interface ParsedFamily {
  readonly type: string;
  readonly help: string;
  /** `name{a="b"}` with unescaped values as JSON, to the value. */
  readonly samples: Map<string, number>;
  /** The same keys, to the exemplar's labels, value and time as they stand. Only OpenMetrics has them. */
  readonly exemplars: Map<string, string>;
}

/** Reads an exposition and throws at whatever a scraper would take amiss. */
export function parseExposition(text: string, format: "prometheus" | "openmetrics"): Map<string, ParsedFamily> {
  const families = new Map<string, ParsedFamily>();
  const all = new Set<string>();
  if (!text.endsWith("\n") && text !== "") throw new Error("the last line has no end");
  const lines = text.split("\n").slice(0, -1);
  if (format === "openmetrics" && lines.pop() !== "# EOF") throw new Error("no # EOF at the end");
  let name = "";
  let help = "";
  for (const line of lines) {
    const meta = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.*)$/s.exec(line);
    if (meta !== null) {
      if (meta[1] === "HELP") {
        name = meta[2]!;
        help = unescape(meta[3]!);
        if (families.has(name)) throw new Error(`${name} comes twice`);
      } else {
        if (meta[2] !== name) throw new Error(`TYPE of ${meta[2]} after HELP of ${name}`);
        families.set(name, { type: meta[3]!, help, samples: new Map(), exemplars: new Map() });
      }
      continue;
    }
    const [plain, exemplar] = format === "openmetrics" ? line.split(" # ", 2) : [line];
    const sample = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/s.exec(plain!);
    if (sample === null) throw new Error(`not a line: ${line}`);
    const family = families.get(name);
    if (family === undefined) throw new Error(`a sample before its family: ${line}`);
    const suffixes =
      family.type === "histogram"
        ? ["_bucket", "_sum", "_count"]
        : family.type === "counter" && format === "openmetrics"
          ? ["_total"]
          : [""];
    if (!suffixes.some((suffix) => sample[1] === name + suffix)) throw new Error(`${sample[1]} in the family ${name}`);
    const key = `${sample[1]}${JSON.stringify(parseLabels(sample[2] ?? ""))}`;
    if (all.has(key)) throw new Error(`${key} comes twice`);
    all.add(key);
    family.samples.set(key, parseNumber(sample[3]!));
    if (exemplar === undefined) continue;
    const parts = /^\{(.*)\} (\S+) (\S+)$/.exec(exemplar);
    if (parts === null || !/_(total|bucket)$/.test(sample[1]!)) throw new Error(`not an exemplar: ${line}`);
    if (Object.entries(parseLabels(parts[1]!)).flat().join("").length > 128) throw new Error(`too long: ${exemplar}`);
    parseNumber(parts[2]!);
    parseNumber(parts[3]!);
    family.exemplars.set(key, exemplar);
  }
  return families;
}

function parseLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  let rest = text;
  while (rest !== "") {
    const pair = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,(?=.)|$)/s.exec(rest);
    if (pair === null) throw new Error(`not labels: ${rest}`);
    if (Object.hasOwn(labels, pair[1]!)) throw new Error(`label ${pair[1]} twice`);
    labels[pair[1]!] = unescape(pair[2]!);
    rest = rest.slice(pair[0].length);
  }
  return labels;
}

function unescape(text: string): string {
  return text.replace(/\\(.)/gs, (_, character: string) => (character === "n" ? "\n" : character));
}

function parseNumber(text: string): number {
  if (text === "+Inf") return Infinity;
  if (text === "-Inf") return -Infinity;
  const value = Number(text);
  if (Number.isNaN(value) && text !== "NaN") throw new Error(`not a number: ${text}`);
  return value;
}
