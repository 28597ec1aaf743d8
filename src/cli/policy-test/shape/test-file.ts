import { list, mapOf, record } from "../../../policy/shape/collections.ts";
import { durationMs } from "../../../policy/shape/quantities.ts";
import { anything, choice, integer, text } from "../../../policy/shape/scalars.ts";
import type { Located, Reading, Shape } from "../../../policy/shape/shape.ts";
import type { Node } from "../../../policy/yaml/node.ts";
import { placeAt } from "../../../policy/yaml/source.ts";
import type { HoldAsked } from "../../../runtime/limits/holds.ts";
import type { Expectation, Given, Step, TestCase, TestFile } from "../test-file.ts";
import { answers } from "./answer.ts";
import { asked } from "./asked.ts";
import { instant, made, oneOrMore } from "./basics.ts";
import { checkExpectation, reportExpectation } from "./expectation.ts";
import { given } from "./given.ts";

/** Where a case's clock starts unless the file says otherwise: 2026-01-01T00:00:00Z. */
const defaultStartMs = Date.UTC(2026, 0, 1);

const nothingGiven: Given = { use: [], attributes: [], wrongType: [] };

/** The most repetitions of one step. */
const maxTimes = 100_000;
const year = 366 * 86_400_000;

/** What a step and a case without steps have in common. */
const act = {
  ask: {
    shape: asked,
    description: "What the caller asks beside its attributes: quotas, `dedup_id`.",
    default: "nothing",
  },
  report: {
    shape: given,
    description: "Makes it a report: attributes that are known only then, beside those of `given`.",
    default: "a check",
  },
  ongoing: {
    shape: given,
    description: "Makes it a word of a request that is still under way: attributes as they are then.",
    default: "a check",
  },
  adapters: {
    shape: answers,
    description: "What adapters answer, before what the file says of them.",
    default: "none",
  },
  expect: {
    // Whether it is about a check or a report is known when all keys are.
    shape: anything("what is expected", { anyOf: [checkExpectation.schema, reportExpectation.schema] }),
    description: "What must hold; what is left out may be anything.",
  },
} as const;

const attributes = { shape: given, description: "Attributes of the request.", default: "none" } as const;

/** The keys of a step. */
export const stepRecord = record("a step", {
  given: { ...attributes, description: "Attributes beside those of the case." },
  after: { shape: durationMs(0, year), description: "How far the clock moves before the step.", default: "`0s`" },
  times: { shape: integer("a whole number", 1, maxTimes), description: "How often the step is done.", default: "1" },
  every: { shape: durationMs(0, year), description: "How far the clock moves between repetitions.", default: "`0s`" },
  of: {
    shape: integer("the number of a step", 1, 10_000),
    description:
      "The check of the same case, by its number from 1 on, whose decision's id the `report` carries, or that the `change` is about.",
    default: "none",
  },
  change: {
    shape: choice("a change of what a check took", ["release", "renew", "refund"]),
    description: "Makes it a change of what the check of `of` took: `release`, `renew` or `refund`.",
    default: "a check",
  },
  ...act,
});

const step: Shape<Step> = made(stepRecord, (read, node, reading) => ({
  ...acting(read, node, reading),
  ...changing(read, node, reading),
  given: merge(read.given, read.report ?? read.ongoing),
  afterMs: read.after?.value ?? 0,
  times: read.times?.value ?? 1,
  everyMs: read.every?.value ?? 0,
}));

/** The keys of a case. */
export const caseRecord = record("a case", {
  name: {
    shape: text("a name"),
    description: "What the case shows, in a sentence; unique in the file.",
    required: true,
  },
  given: attributes,
  ...act,
  steps: {
    shape: list("a list of steps", step),
    description: "Several checks and reports on one clock and one set of counts, instead of a single one.",
  },
});

const testCase: Shape<TestCase> = made(caseRecord, (read, node, reading) => {
  if (read.name === undefined) return undefined;
  const { value: name, node: at } = read.name;
  const told = (message: string, hint?: string): undefined =>
    reading.tell(at, { code: "WEIR_POLICY_SHAPE", message, hint });
  const common = { name, node: at, place: placeAt(reading.source, at.start), given: read.given ?? nothingGiven };
  if (read.steps === undefined) {
    if (read.expect === undefined)
      return told("a case that expects nothing cannot fail", 'it needs "expect" or "steps"');
    const only = { ...acting(read, node, reading), given: read.report ?? read.ongoing ?? nothingGiven };
    return { ...common, answers: new Map(), steps: [{ ...only, afterMs: 0, times: 1, everyMs: 0 }] };
  }
  for (const key of ["ask", "report", "ongoing", "expect"] as const) {
    if (read[key] !== undefined) told(`a case with "steps" says "${key}" in its steps`);
  }
  const { items: steps } = read.steps;
  for (const [i, { of }] of steps.entries()) {
    if (of === undefined || (of.value <= i && steps[of.value - 1]!.kind === "check")) continue;
    reading.tell(of.node, { code: "WEIR_POLICY_SHAPE", message: `step ${of.value} is no check before this step` });
  }
  if (steps.every(({ expect }) => expect === undefined)) {
    told("a case that expects nothing cannot fail", 'at least one step needs "expect"');
  }
  return { ...common, answers: read.adapters ?? new Map(), steps };
});

/** The keys of a test file. */
export const fileRecord = record("a test file", {
  policy: { shape: text("a path"), description: "The policy file under test, relative to the test file." },
  policies: {
    shape: oneOrMore("a path or a list of paths", text("a path")),
    description: "The policy files and folders under test, relative to the test file.",
    default: "all policy files of the test file's folder",
  },
  config: {
    shape: text("a path"),
    description: "The `weir.yaml` that names adapters and attributes, relative to the test file.",
    default: "the nearest `weir.yaml` upward, else none",
  },
  start: { shape: instant, description: "Where the clock of each case starts.", default: "2026-01-01T00:00:00Z" },
  fixtures: {
    shape: mapOf("a map of fixture names to attributes", given),
    description: "Attributes that cases share, by name; `given: { use: [name] }` takes them.",
    default: "none",
  },
  adapters: { shape: answers, description: "What adapters answer in place of their own work.", default: "none" },
  cases: {
    shape: list("a list of cases", testCase),
    description: "The cases. Each starts with fresh counts.",
    required: true,
  },
});

/** A test file. */
export const testFile: Shape<TestFile> = made(fileRecord, (read, _, reading) => {
  if (read.policy !== undefined && read.policies !== undefined) {
    reading.tell(read.policy.node, {
      code: "WEIR_POLICY_SHAPE",
      message: 'a file has "policy" or "policies", not both',
    });
  }
  const policies = read.policies ?? (read.policy && [read.policy]);
  return {
    reading,
    ...(policies !== undefined && { policies }),
    ...(read.config !== undefined && { config: read.config }),
    startMs: read.start?.value ?? defaultStartMs,
    fixtures: new Map(read.fixtures?.entries.map(({ name, value }) => [name, value])),
    answers: read.adapters ?? new Map(),
    cases: read.cases?.items ?? [],
  };
});

/** What makes a step a change, and whose decision a change or a report is about. */
function changing(
  { of, change, ...others }: { [K in "of" | "change" | keyof typeof act]?: Readonly<{ value: unknown }> | object },
  node: Node,
  reading: Reading,
): Partial<Pick<Step, "kind" | "of">> {
  const told = (message: string): undefined => reading.tell(node, { code: "WEIR_POLICY_SHAPE", message });
  if (change === undefined) {
    if (of !== undefined && others.report === undefined) told('"of" belongs to a "report" or a "change"');
  } else if (of === undefined) told('a "change" says "of" which check');
  else if ((["report", "ongoing", "ask", "expect"] as const).some((key) => others[key] !== undefined))
    told('a "change" has no "report", "ongoing", "ask" or "expect": the checks after it show what it did');
  return {
    ...(change === undefined ? {} : { kind: (change as Located<HoldAsked["kind"]>).value }),
    ...(of === undefined ? {} : { of: of as Located<number> }),
  };
}

type Acting = Pick<Step, "place" | "kind" | "asked" | "answers" | "expect">;

/** The part of a step that a case without steps has too. */
function acting(
  read: { [K in keyof typeof act]?: (typeof act)[K]["shape"] extends Shape<infer T> ? T : never },
  node: Node,
  reading: Reading,
): Acting {
  const kind = read.report !== undefined ? "report" : read.ongoing !== undefined ? "ongoing" : "check";
  if (kind !== "check" && read.ask !== undefined) {
    reading.tell(node, {
      code: "WEIR_POLICY_SHAPE",
      message: `${kind === "report" ? "a report" : "what is ongoing"} has no "ask"`,
    });
  }
  if (read.report !== undefined && read.ongoing !== undefined) {
    const message = 'a request is over or not: "report" or "ongoing", not both';
    reading.tell(node, { code: "WEIR_POLICY_SHAPE", message });
  }
  const shape = kind === "check" ? checkExpectation : reportExpectation;
  // Where it could not be read, which was told, it still is an expectation.
  const expect: Expectation | undefined = read.expect && (shape.read(read.expect, reading)?.value ?? {});
  return {
    place: placeAt(reading.source, (read.expect ?? node).start),
    kind,
    asked: read.ask ?? {},
    answers: read.adapters ?? new Map(),
    ...(expect !== undefined && { expect }),
  };
}

function merge(first: Given = nothingGiven, second: Given = nothingGiven): Given {
  return {
    use: [...first.use, ...second.use],
    attributes: [...first.attributes, ...second.attributes],
    wrongType: [...first.wrongType, ...second.wrongType],
  };
}
