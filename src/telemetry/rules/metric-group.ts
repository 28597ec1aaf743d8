import type { Bag } from "../../attributes/bag.ts";
import { Fault } from "../../attributes/fault.ts";
import type { Expression } from "../../expression/expression.ts";
import type { MetricRule } from "../../policy/snapshot.ts";
import type { Exemplar, Log, MetricGroup, MetricRecorder } from "../../sdk/index.ts";
import type { Observer } from "../../util/observer.ts";
import { recordingFaults } from "../recording-faults.ts";
import { Condition } from "./condition.ts";
import { growthOf, type OngoingRules, type Told } from "./growth.ts";
import { labelText, sampleNumber, unknownLabel } from "./label.ts";

/** Metric rules that apply to the same records and have the same labels: labels are evaluated and looked up once. */
export interface PreparedMetrics {
  readonly condition: Condition;
  /**
   * Records one sample for each metric of the group that has a value, of the given trace; where something of the request
   * was told before, only what is new. Never throws.
   */
  record(bag: Bag, exemplar: Exemplar | undefined, told: Told | undefined): void;
  /** Records what is new of a request that is still under way. Left out: the group takes requests when they end. Never throws. */
  readonly recordOngoing?: (bag: Bag, exemplar: Exemplar | undefined, told: Told) => void;
  /** Lets go of the adapter's recorder. Never throws. */
  close(): void;
}

/** What rules must share to be one group. The texts of expressions stand for the expressions. */
export function groupKey(rule: MetricRule): string {
  const labels = rule.labels.map(({ name, value }) => [name, value.source]);
  const { to, policy, when, unless, ongoing = false } = rule;
  return JSON.stringify([to, policy.name, when?.source ?? null, unless?.source ?? null, labels, ongoing]);
}

/** Prepares a group of rules with the same {@link groupKey}. `open` is the adapter's `metrics`. */
export function prepareMetrics(
  rules: readonly [MetricRule, ...MetricRule[]],
  open: (group: MetricGroup) => MetricRecorder,
  observer: Observer,
  ongoing: OngoingRules,
  log: Log,
): PreparedMetrics {
  const condition = new Condition(rules, observer);
  const adapter = rules[0].to;
  const labels = new LabelReader(rules[0].labels, condition);
  const values = rules.map((rule) => new ValueReader(rule, observer));
  // Filled again for each record. NaN makes it an array of doubles from the start.
  const samples = rules.map(() => NaN);
  const recorder = open({
    labels: rules[0].labels.map((label) => label.name),
    metrics: rules.map(({ metric: name, type: kind, help, buckets }) => ({
      name,
      kind,
      help,
      ...(buckets === undefined ? {} : { buckets }),
    })),
  });
  if (typeof recorder?.record !== "function") {
    throw new TypeError(`the adapter "${adapter}" answers metrics with something that has no method record`);
  }

  const noteFault = recordingFaults(adapter, observer, log);
  const recordSamples = (bag: Bag, exemplar: Exemplar | undefined): void => {
    try {
      recorder.record(labels.read(bag), samples, exemplar, labels.changed);
    } catch (error) {
      noteFault(error);
    }
  };
  const positions = rules.map((rule) => ongoing.position(rule));
  const recordGrowth = (bag: Bag, exemplar: Exemplar | undefined, told: Told, isOver: boolean): void => {
    const sums = ongoing.sumsOf(told);
    let any = false;
    for (let i = 0; i < samples.length; i++) {
      const value = values[i]!.read(bag, isOver);
      const position = positions[i]!;
      if (Number.isNaN(told.before) && Number.isNaN(sums[position]) && value > 0)
        observer.dropped("metric_sample", "unknown_start", 1);
      const growth = Number.isNaN(value) ? NaN : growthOf(sums, position, value);
      samples[i] = growth === 0 && !isOver ? NaN : growth;
      if (!Number.isNaN(samples[i])) any = true;
    }
    if (any) recordSamples(bag, exemplar);
  };
  const isOngoing = rules[0].ongoing === true;

  return {
    condition,
    record(bag, exemplar, told) {
      if (isOngoing && told !== undefined) {
        recordGrowth(bag, exemplar, told, true);
        return;
      }
      let any = false;
      for (let i = 0; i < samples.length; i++) {
        const sample = values[i]!.read(bag, true);
        samples[i] = sample;
        if (sample === sample) any = true;
      }
      if (any) recordSamples(bag, exemplar);
    },
    ...(isOngoing && { recordOngoing: (bag, exemplar, told) => recordGrowth(bag, exemplar, told, false) }),
    close() {
      try {
        recorder.close?.();
      } catch (error) {
        noteFault(error);
      }
    },
  };
}

/** Evaluates the labels of a group into one array that is used again and again. */
class LabelReader {
  /** Which of the first 32 labels may not say what they said at the reading before, a bit each; 1 is the first. */
  changed = -1;
  /** The bag that was read last, and the turn that ended with it; 0 where all is to be read again. */
  #bag: Bag | undefined;
  #turn = 0;
  readonly #texts: string[];
  /** By label: the slot of the attribute that it is; -1 where it is none. */
  readonly #slots: Int32Array;
  readonly #computed: { readonly position: number; readonly value: Expression }[] = [];
  readonly #condition: Condition;

  constructor(labels: MetricRule["labels"], condition: Condition) {
    this.#condition = condition;
    this.#texts = labels.map(({ value }, position) => {
      if (value.constant !== undefined) return labelText(value.constant.value);
      if (value.slot === undefined) this.#computed.push({ position, value });
      return unknownLabel;
    });
    this.#slots = Int32Array.from(labels, ({ value }) => (value.constant === undefined ? (value.slot ?? -1) : -1));
  }

  read(bag: Bag): readonly string[] {
    const texts = this.#texts;
    const slots = this.#slots;
    // Of the records of a report most labels say the same as in the one before.
    const since = bag === this.#bag && !bag.isRefilledSince(this.#turn) ? this.#turn : 0;
    this.#bag = bag;
    this.#turn = bag.endTurn();
    let changed = since === 0 ? -1 : 0;
    for (let i = 0; i < slots.length; i++) {
      const slot = slots[i]!;
      if (slot < 0 || !bag.isSetSince(slot, since)) continue;
      changed |= 1 << i;
      const value = bag.peek(slot);
      texts[i] = typeof value === "string" ? value : this.#text(value);
    }
    const computed = this.#computed;
    for (let i = 0; i < computed.length; i++) {
      const { position, value } = computed[i]!;
      changed |= 1 << position;
      const text = value.evaluate(bag);
      texts[position] = typeof text === "string" ? text : this.#text(text);
    }
    this.changed = changed;
    return texts;
  }

  #text(value: unknown): string {
    if (value === undefined) return unknownLabel;
    if (!(value instanceof Fault)) return labelText(value);
    this.#condition.count("label", "fault");
    // A fault counts each time that it is read.
    this.#turn = 0;
    return unknownLabel;
  }
}

/** Evaluates the value of one metric. */
class ValueReader {
  readonly #rule: MetricRule;
  readonly #expression: Expression | undefined;
  readonly #slot: number;
  readonly #unit: "s" | "ms";
  readonly #isCounter: boolean;
  readonly #observer: Observer;

  constructor(rule: MetricRule, observer: Observer) {
    this.#rule = rule;
    this.#expression = rule.value;
    this.#slot = rule.value?.slot ?? -1;
    this.#unit = rule.unit;
    this.#isCounter = rule.type === "counter";
    this.#observer = observer;
  }

  /** The sample; `NaN` when there is none. While a request is not over, what is absent may yet come: that is not counted. */
  read(bag: Bag, isOver: boolean): number {
    const expression = this.#expression;
    if (expression === undefined) return 1;
    const value = this.#slot < 0 ? expression.evaluate(bag) : bag.peek(this.#slot);
    const sample = sampleNumber(value, this.#unit);
    // Only what is finite is left by itself. What is out of the ordinary is asked for last: it costs more than all before.
    if (sample - sample === 0 && (sample >= 0 || !this.#isCounter)) return sample;
    return this.#unusual(value, sample, isOver);
  }

  #unusual(value: unknown, sample: number, isOver: boolean): number {
    if (value === undefined && !isOver) return NaN;
    if (value === undefined || value instanceof Fault) {
      this.#observer.ruleFault(this.#rule.id, "value", value === undefined ? "absence" : "fault");
      return NaN;
    }
    if (this.#rule.type === "gauge") return Number.isNaN(sample) ? this.#drop("not_a_number") : sample;
    // One infinity would stay in a sum for ever, and a counter never goes back.
    if (!Number.isFinite(sample)) return this.#drop("not_a_number");
    return this.#drop("negative");
  }

  #drop(reason: string): number {
    this.#observer.dropped("metric_sample", reason, 1);
    return NaN;
  }
}
