import type { Edge, Node } from "./merged.ts";
import { columnsText, printable } from "../table-text.ts";

/** From which share of failed requests on an edge is drawn as failing. */
const failingShare = 0.05;

interface Drawn {
  /** Nodes by namespace, each with an identifier that any grammar takes. */
  readonly spaces: ReadonlyMap<string, readonly { readonly id: string; readonly name: string }[]>;
  idOf(node: Node): string;
}

/** The graph in Graphviz's language (https://graphviz.org/doc/info/lang.html): a cluster for each namespace. */
export function dotText(edges: readonly Edge[]): string {
  const { spaces, idOf } = drawn(edges);
  const quoted = (text: string): string => `"${text.replaceAll(/["\\]/g, "\\$&").replaceAll(/\s/g, " ")}"`;
  const lines = ["digraph mesh {", "  rankdir=LR", "  node [shape=box, style=rounded]"];
  let cluster = 0;
  for (const [space, nodes] of spaces) {
    const inner = nodes.map(({ id, name }) => `${id} [label=${quoted(name)}]`);
    if (space === "") lines.push(...inner.map((line) => `  ${line}`));
    else
      lines.push(
        `  subgraph cluster_${cluster++} {`,
        `    label=${quoted(space)}`,
        ...inner.map((line) => `    ${line}`),
        "  }",
      );
  }
  for (const edge of edges) {
    const color = edge.errorShare >= failingShare ? ", color=red, fontcolor=red" : "";
    lines.push(`  ${idOf(edge.source)} -> ${idOf(edge.destination)} [label=${quoted(labelOf(edge))}${color}]`);
  }
  return `${[...lines, "}"].join("\n")}\n`;
}

/** The graph as a flowchart of Mermaid (https://mermaid.js.org/syntax/flowchart.html). */
export function mermaidText(edges: readonly Edge[]): string {
  const { spaces, idOf } = drawn(edges);
  const quoted = (text: string): string =>
    `"${text.replaceAll(/[#"<>&\s]/g, (c) => (/\s/.test(c) ? " " : `#${c.charCodeAt(0)};`))}"`;
  const lines = ["flowchart LR"];
  let group = 0;
  for (const [space, nodes] of spaces) {
    const inner = nodes.map(({ id, name }) => `${id}[${quoted(name)}]`);
    if (space === "") lines.push(...inner.map((line) => `  ${line}`));
    else lines.push(`  subgraph s${group++} [${quoted(space)}]`, ...inner.map((line) => `    ${line}`), "  end");
  }
  const failing: number[] = [];
  for (const [i, edge] of edges.entries()) {
    lines.push(`  ${idOf(edge.source)} -->|${quoted(labelOf(edge))}| ${idOf(edge.destination)}`);
    if (edge.errorShare >= failingShare) failing.push(i);
  }
  if (failing.length > 0) lines.push(`  linkStyle ${failing.join(",")} stroke:red`);
  return `${lines.join("\n")}\n`;
}

/** The graph as a table for a terminal. */
export function tableText(edges: readonly Edge[]): string {
  const rows = edges.map((edge) => [
    nodeText(edge.source),
    nodeText(edge.destination),
    edge.protocol,
    `${shown(edge.rate)}/s`,
    `${shown(edge.errorShare * 100)} %`,
    edge.p50Ms === undefined ? "-" : `${shown(edge.p50Ms)} ms`,
    edge.p99Ms === undefined ? "-" : `${shown(edge.p99Ms)} ms`,
  ]);
  return columnsText([["from", "to", "protocol", "requests", "failed", "p50", "p99"], ...rows]);
}

function drawn(edges: readonly Edge[]): Drawn {
  const spaces = new Map<string, { id: string; name: string }[]>();
  const ids = new Map<string, string>();
  const keyOf = ({ namespace, name }: Node): string => JSON.stringify([namespace, name]);
  for (const node of edges.flatMap(({ source, destination }) => [source, destination])) {
    const key = keyOf(node);
    if (ids.has(key)) continue;
    const id = `n${ids.size}`;
    ids.set(key, id);
    const space = spaces.get(node.namespace);
    if (space === undefined) spaces.set(node.namespace, [{ id, name: node.name }]);
    else space.push({ id, name: node.name });
  }
  return { spaces, idOf: (node) => ids.get(keyOf(node))! };
}

function labelOf({ rate, errorShare, p99Ms }: Edge): string {
  const failed = errorShare > 0 ? [`${shown(errorShare * 100)} % failed`] : [];
  return [`${shown(rate)}/s`, ...failed, ...(p99Ms === undefined ? [] : [`p99 ${shown(p99Ms)} ms`])].join(", ");
}

function nodeText({ namespace, name }: Node): string {
  // Names come from whoever reports: they must not steer the terminal.
  return printable(namespace === "" ? name : `${name}.${namespace}`);
}

/** Three digits, without an exponent. */
function shown(value: number): string {
  return value >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
}
