import { Duration } from "../../attributes/duration.ts";
import type { AdapterEntry } from "../../policy/snapshot.ts";
import { capabilities } from "../../sdk/index.ts";
import type { Adapter, Call, Charge, Grant, Host, Instance, JsonValue, Methods, Verdict } from "../../sdk/index.ts";
import type { Recorder } from "./recorder.ts";
import type { AdapterAnswer, Answer } from "./test-file.ts";

/** What the test at hand says of an adapter, the part that counts most first: step, case, file. */
export type AnswersOf = (adapter: string) => readonly AdapterAnswer[];

export interface StandInOptions {
  readonly entry: AdapterEntry;
  readonly answersOf: AnswersOf;
  readonly recorder: Recorder;
  /** Whether the adapter itself is made and answers what the test does not: it needs nothing of the outside world. */
  readonly local: boolean;
  /** Whether the test wants the adapter itself although it is not local. */
  readonly real: boolean;
}

/** Whether an adapter is asked for answers, rather than given what it takes. */
export function isAsked({ provides }: Adapter): boolean {
  return (["check", "quota", "attributes"] as const).some((capability) => provides.includes(capability));
}

/**
 * An entry that the runtime takes for the original. Metrics, logs and spans are kept in the recorder, checks and quotas are
 * answered as the test says, else by the adapter itself.
 */
export function standIn(options: StandInOptions): AdapterEntry {
  const { entry } = options;
  const { name, provides, input, outputs } = entry.adapter;
  const adapter: Adapter = {
    name,
    provides,
    ...(input !== undefined && { input }),
    ...(outputs !== undefined && { outputs }),
    config: entry.adapter.config,
    create: (config, host) => create(options, config, host),
  };
  return { ...entry, adapter };
}

type AnyInstance = Partial<Methods<Record<string, "any">>> & Pick<Instance, "refund" | "close">;

async function create(options: StandInOptions, config: unknown, host: Host): Promise<Instance<never, never>> {
  const { entry, recorder, local, real } = options;
  const { provides, input = {} } = entry.adapter;
  const judges = isAsked(entry.adapter);
  const original = judges && (local || real) ? ((await entry.adapter.create(config, host)) as AnyInstance) : undefined;

  const answerFor = (given: Readonly<Record<string, unknown>>): Answer | undefined => {
    for (const answers of options.answersOf(entry.name)) {
      const certain = answers.for.find((each) => fits(each.input, given, input));
      const answer = certain?.answer ?? answers.answer;
      if (answer !== undefined) return answer;
    }
    return local ? { kind: "real" } : undefined;
  };
  const unanswered = (): never => {
    recorder.unanswered.add(entry.name);
    throw new Error("the test does not say what the adapter answers");
  };

  const track = <T>(answer: T | Promise<T>): T | Promise<T> => {
    if (!(answer instanceof Promise)) return answer;
    recorder.outside.add(answer);
    return answer.finally(() => recorder.outside.delete(answer));
  };

  const instance: AnyInstance = {
    check(given, call) {
      const answer = answerFor(given);
      if (answer?.kind === "real" && original?.check !== undefined) return track(original.check(given, call));
      return answer === undefined || answer.kind === "real" ? unanswered() : verdict(answer, call);
    },
    quota(charges, call) {
      const answer = answerFor({});
      if (answer?.kind === "real" && original?.quota !== undefined) return track(original.quota(charges, call));
      return answer === undefined || answer.kind === "real" ? unanswered() : grants(answer, charges, call);
    },
    // What was taken by an answer of the test is held nowhere.
    holds(changes, call) {
      if (original?.holds === undefined) return changes.map(() => []);
      return track(original.holds(changes, call));
    },
    // What a test does not say of a request, nor has the adapter itself say, nobody knows.
    attributes(given) {
      const answer = answerFor(given);
      if (answer?.kind === "real") return original?.attributes?.(given);
      if (answer?.kind === "error") throw new Error("the test lets the adapter fail");
      return undefined;
    },
    metrics(group) {
      return {
        record(labels, values) {
          const named = Object.fromEntries(group.labels.map((label, i) => [label, labels[i]!]));
          group.metrics.forEach(({ name, kind }, i) => {
            const value = values[i]!;
            if (!Number.isNaN(value)) recorder.samples.push({ metric: name, kind, labels: named, value });
          });
        },
      };
    },
    logs(entries) {
      recorder.entries.push(...entries);
    },
    spans(spans) {
      recorder.spans.push(...spans);
    },
    table: (key) => original?.table?.(key),
    close: () => original?.close?.(),
  };
  const refund = original?.refund?.bind(original);
  if (refund !== undefined) {
    instance.refund = (charges, call) => (answerFor({})?.kind === "real" ? refund(charges, call) : undefined);
  }
  for (const capability of capabilities) {
    if (!provides.includes(capability)) delete instance[capability];
  }
  return instance as Instance<never, never>;
}

type Said = Exclude<Answer, { kind: "real" }>;

function verdict(answer: Said, call: Call): Verdict | Promise<Verdict> {
  switch (answer.kind) {
    case "allow":
      return { allow: true, ...kept(answer) };
    case "deny":
      return {
        allow: false,
        code: answer.code,
        ...(answer.message !== undefined && { message: answer.message }),
        ...kept(answer),
      };
    default:
      return fault(answer.kind, call);
  }
}

function grants(answer: Said, charges: readonly Charge[], call: Call): readonly Grant[] | Promise<readonly Grant[]> {
  switch (answer.kind) {
    case "allow":
      return charges.map(({ limit, amount }) => ({
        allowed: true,
        granted: amount,
        remaining: Math.max(0, limit.burst - amount),
        resetMs: limit.windowMs,
        validForMs: answer.validForMs ?? limit.windowMs,
      }));
    case "deny":
      return charges.map(({ limit }) => ({
        allowed: false,
        granted: 0,
        remaining: 0,
        resetMs: limit.windowMs,
        retryAfterMs: limit.windowMs,
        validForMs: 0,
      }));
    default:
      return fault(answer.kind, call);
  }
}

function kept({ validForMs }: { readonly validForMs?: number }): { readonly validForMs?: number } {
  return validForMs === undefined ? {} : { validForMs };
}

function fault(kind: "error" | "timeout", { signal }: Call): Promise<never> {
  if (kind === "error") throw new Error("the test lets the adapter fail");
  return new Promise((_, reject) => {
    const end = (): void => reject(new Error("the test lets the adapter time out"));
    if (signal.aborted) end();
    else signal.addEventListener("abort", end, { once: true });
  });
}

/** Whether an input has all values that a test names. Texts of durations and times are compared as what they mean. */
function fits(
  wanted: Readonly<Record<string, JsonValue>>,
  given: Readonly<Record<string, unknown>>,
  types: Readonly<Record<string, string>>,
): boolean {
  return Object.entries(wanted).every(([name, value]) => {
    const found = given[name];
    const type = types[name] ?? types[`${name}?`];
    if (type === "duration" && typeof value === "string") return Duration.parse(value)?.ms === found;
    if (found instanceof Date) return typeof value === "string" && Date.parse(value) === found.getTime();
    if (found instanceof Uint8Array) return value === Buffer.from(found).toString("hex");
    if (found instanceof Map && typeof value === "object" && value !== null) {
      return Object.entries(value).every(([key, text]) => found.get(key) === text);
    }
    return (
      value === found ||
      (typeof found === "string" && String(value) === found) ||
      (value === null && found === undefined)
    );
  });
}
