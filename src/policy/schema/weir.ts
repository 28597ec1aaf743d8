import { attributeTypes, type AttributeType } from "../../attributes/value.ts";
import { doorsShape } from "./doors.ts";
import { listenShape } from "./listen.ts";
import { list, mapOf, record } from "../shape/collections.ts";
import { bytes, durationMs, part } from "../shape/quantities.ts";
import { anything, boolean, choice, expression, integer, number, text } from "../shape/scalars.ts";
import type { Located, Read, Shape } from "../shape/shape.ts";

const KiB = 1024;
const MiB = KiB * KiB;

export const limitsShape = record("limits", {
  message: {
    shape: bytes(KiB, 256 * MiB),
    description: "The largest message or body that a door takes.",
    default: "`1MiB`",
  },
  streams: {
    shape: integer("a number of calls", 1, 1_000_000),
    description: "Calls at once on one connection.",
    default: "`1024`",
  },
  policy: { shape: bytes(KiB, 64 * MiB), description: "The largest policy file.", default: "`1MiB`" },
  expression: { shape: bytes(64, MiB), description: "The longest expression, in characters.", default: "`16KiB`" },
  cost: {
    shape: integer("a number of steps", 100, 1_000_000_000),
    description: "The most steps that evaluating one expression may take.",
    default: "`100000`",
  },
});

export const checkDefaultsShape = record("defaults of decisions", {
  validFor: {
    shape: durationMs(0, 86_400_000),
    description: "How long a caller may keep a decision whose rules say nothing of it.",
    default: "`5s`",
  },
  validUses: {
    shape: integer("a number of uses", 0, 2_147_483_647),
    description: "How many uses such a decision is good for.",
    default: "`10000`",
  },
  adapterTimeout: {
    shape: durationMs(1, 600_000),
    description: "How long an adapter may take to answer one call.",
    default: "`1s`",
  },
  share: {
    shape: part,
    description:
      "The part of a limit with `onError: local` that this hub counts by while the limit's adapter fails, such as `0.25` for one of four hubs.",
    default: "one over the hubs last seen",
  },
});

export const graphShape = record("the service graph", {
  window: {
    shape: durationMs(0, 86_400_000),
    description: "Over how long the requests are counted; `0s`: there is no graph, and it costs nothing.",
    default: "`5m`",
  },
  edges: {
    shape: integer("a number of edges", 1, 100_000),
    description: "The most edges that are kept, at up to 2 KiB each. Records of others are not counted in the graph.",
    default: "`2000`",
  },
});

export const diskShape = record("disk", {
  folder: {
    shape: text("the path of a folder"),
    description: "Where the files lie; of this hub alone.",
    default: "`./buffer`",
  },
  maxSize: {
    shape: bytes(16 * MiB, 2 ** 50),
    description: "The most that they hold, beyond which records are not taken.",
    default: "`1GiB`",
  },
  sync: {
    shape: boolean(),
    description: "Whether a call waits until the disk has its records: `false` outlives the process, not the machine.",
    default: "`true`",
  },
});

export const tracesShape = record("the hub's own traces", {
  to: {
    shape: text("the name of an adapter"),
    description: "The adapter that takes the spans, by its name under `adapters`.",
    required: true,
  },
  ratio: {
    shape: number("a number", 0, 1),
    description: "Which share of the decisions is traced, 0 to 1, where the caller has not decided.",
    default: "`0.01`",
  },
  follow: {
    shape: boolean(),
    description: "Whether a caller that has decided (`sampled` in the trace context) is followed.",
    default: "`true`",
  },
  perSecond: {
    shape: integer("a number of decisions", 1, 1_000_000),
    description: "The most decisions that are traced in a second, whatever callers say.",
    default: "`100`",
  },
});

const share = number("a share from 0 to 1", 0, 1);

export const decisionsShape = record("the log of decisions", {
  to: {
    shape: text("the name of an adapter"),
    description: "The adapter, one that takes logs, that each decision goes to.",
    default: "decisions are not logged",
  },
  sample: { shape: share, description: "Which share of the decisions that let pass is logged.", default: "`1`" },
  refused: { shape: share, description: "Which share of the refusals is logged.", default: "`1`" },
  reveal: {
    shape: list("a list of names", text("a name of a header or an attribute")),
    description: "Headers, keys and attributes that are shown though their names look like those of secrets.",
    default: "none",
  },
  recent: {
    shape: integer("a number of refusals", 0, 100_000),
    description: "How many of the last refusals the hub keeps for `weir why`.",
    default: "`1000`",
  },
});

export const telemetryShape = record("telemetry", {
  buffer: {
    shape: text("where records wait for delivery"),
    description:
      "Where records wait for delivery: `memory`, `disk`, or the name of an adapter that keeps a journal, such as `nats`.",
    default: "`memory`",
  },
  disk: {
    shape: diskShape,
    description: "The files of `buffer: disk`.",
    default: "below",
  },
  ledger: {
    shape: text("the path of a file, or none"),
    description:
      "The file in which the hub notes what a kill would lose, for the next start to count; of this hub alone. `none`: there is none.",
    default: "with `buffer: disk` the file `ledger` in its folder, else none",
  },
  whenAway: {
    shape: choice("what becomes of records while the buffer is away", ["refuse", "memory"]),
    description: "Whether records are refused, or wait in `memory`, while a buffer beside it cannot be reached.",
    default: "`refuse`",
  },
  maxAge: {
    shape: durationMs(1000, 365 * 86_400_000),
    description: "How long a stored record is offered to an adapter that does not take it.",
    default: "`24h`",
  },
  queue: {
    shape: integer("a number of entries", 1, 10_000_000),
    description: "Entries that may wait for one adapter; beyond them records are not taken.",
    default: "`10000`",
  },
  mesh: {
    shape: choice("which metrics of the mesh the hub exports by itself", ["istio", "istio-mixer", "none"]),
    description:
      "Istio's standard metrics, by policies that ship with Weir: `istio`; `istio-mixer`, with those that only dashboards of Istio up to 1.3 read; or `none`. A policy of your own with the same name, or for the same metric, takes the place of one that ships.",
    default: "`istio`",
  },
  exemplars: {
    shape: boolean(),
    description: "Whether metrics keep exemplars: of each counter and bucket the last trace that fed it.",
    default: "`false`",
  },
  traces: { shape: tracesShape, description: "Spans of the hub's own work.", default: "none" },
  decisions: { shape: decisionsShape, description: "Which decisions are logged, and where.", default: "below" },
  graph: { shape: graphShape, description: "Who calls whom, gathered from reports.", default: "below" },
});

export const shutdownShape = record("shutdown", {
  deadline: {
    shape: durationMs(0, 3_600_000),
    description: "How long calls in flight and adapters may take to end.",
    default: "`10s`",
  },
});

const attributeType = choice("a type of attribute", attributeTypes, {
  int: 'whole numbers are "int64"',
  float: 'numbers with a fraction are "double"',
  boolean: 'that is "bool"',
  ip_address: 'that is "ip"',
  map: 'that is "string_map"',
});

export const producedShape = record("an attribute that an adapter makes", {
  type: { shape: attributeType, description: "Its type.", required: true },
  from: {
    shape: text("the name of an adapter"),
    description: "The adapter, by its name under `adapters`, that says what it is.",
    required: true,
  },
  output: {
    shape: text("the name of an output"),
    description: "Which of the adapter's outputs it is.",
    default: "the only one",
  },
  with: {
    shape: mapOf("a map of inputs to expressions", expression("an expression")),
    description: "What the adapter is asked with: an expression for each of its inputs.",
    default: "nothing",
  },
});

export type RawProduced = Read<typeof producedShape>;

/** A type, or an attribute that an adapter makes. */
const ownAttribute: Shape<{ readonly type: Located<AttributeType> | undefined; readonly produced?: RawProduced }> = {
  expected: "a type, or an attribute that an adapter makes",
  schema: { anyOf: [attributeType.schema, producedShape.schema] },
  read(node, reading) {
    if (node.kind !== "map") return { type: attributeType.read(node, reading) };
    const produced = producedShape.read(node, reading);
    return produced && { type: produced.type, produced };
  },
};

const adapterShape = anything("an adapter's configuration", {
  type: "object",
  properties: {
    adapter: {
      type: "string",
      description:
        "A built-in adapter's name, or the path or package of one of your own. Default: the name of the entry.",
    },
    required: {
      type: "boolean",
      description: "Whether the hub is ready only while the adapter can serve. Default: false.",
    },
  },
});

const folder = text("the path of a folder");

export const pushedShape = record("where pushed policies come from", {
  from: {
    shape: text("the name of an adapter"),
    description: "The adapter, by its name under `adapters`, to which policies are pushed: one of the kind `nats`.",
    required: true,
  },
  copy: {
    shape: text("the path of a file"),
    description: "The file that keeps the last set that served, as seen from weir.yaml.",
    default: "`./pushed-policies.gz`",
  },
});

/** The path of a folder, or where pushed policies come from. */
const policiesShape: Shape<{ readonly folder?: Located<string>; readonly pushed?: Read<typeof pushedShape> }> = {
  expected: "the path of a folder, or a map with the key from",
  schema: { anyOf: [folder.schema, pushedShape.schema] },
  read(node, reading) {
    if (node.kind !== "map") {
      const read = folder.read(node, reading);
      return read && { folder: read };
    }
    const pushed = pushedShape.read(node, reading);
    return pushed && { pushed };
  },
};

export const weirShape = record("weir.yaml", {
  listen: { shape: listenShape, description: "Where the hub listens.", default: "the loopback interface" },
  policies: {
    shape: policiesShape,
    description: "Folder of the policy files, as seen from weir.yaml; or where policies come from that are pushed.",
    default: "`./policies`",
  },
  allowEmpty: {
    shape: boolean(),
    description: "Whether a reload may leave no policy where there were some, so that every request passes.",
    default: "`false`",
  },
  attributes: {
    shape: mapOf("a map of attribute names to types", ownAttribute),
    description: "Attributes of your own, beside the built-in vocabulary; and those that adapters make.",
    default: "none",
  },
  adapters: {
    shape: mapOf("a map of names to adapters", adapterShape),
    description: "Adapters by the names that policies use.",
    default: "`memory`, `prometheus` and `stdout`",
  },
  limits: { shape: limitsShape, description: "Bounds on what callers and files may ask for.", default: "below" },
  doors: { shape: doorsShape, description: "Settings of doors.", default: "below" },
  check: { shape: checkDefaultsShape, description: "Defaults of decisions.", default: "below" },
  telemetry: { shape: telemetryShape, description: "How reports are delivered.", default: "below" },
  shutdown: { shape: shutdownShape, description: "How the hub stops.", default: "below" },
});

export type RawWeir = Read<typeof weirShape>;
