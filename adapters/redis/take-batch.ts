import type { Charge, Grant } from "weir/sdk";
import type { Store } from "./connection.ts";
import { chargeFields, recordsOf } from "./charge-record.ts";

/** The most decisions of one command, and about the most charges: Redis serves nobody else while it judges them. */
const maxDecisions = 32;
const maxCharges = 64;

/**
 * How many commands may be under way before decisions gather. Each command costs Redis and the hub more than its
 * decisions do, so where they come faster than answers they had better go together; few enough wait that way, and not
 * longer than a quarter of a round trip.
 */
const maxUnderWay = 4;

const numbersPerGrant = 5;

/** Outcomes that the script tells; 1 is a grant. */
const refused = 0;
const repeated = 2;

/** What charges say to the script. */
export interface Told {
  readonly keys: string[];
  /** The fields of their records, one charge after the other. */
  readonly numbers: number[];
  /** What has no fixed length. */
  readonly texts: (string | number)[];
}

export interface TakeOptions {
  /** How long a deduplication id is remembered, in milliseconds. */
  readonly dedupMs: number;
  /** Adds a charge to what is told. `of`: how many charges its decision has. */
  readonly tell: (charge: Charge, of: number, told: Told) => void;
  /** Runs the script over keys that one node answers for. */
  readonly send: Store["take"];
}

/** Judges the charges of one decision, all or nothing. Their keys lie in one slot. `time` is the script's, or "". */
export type Take = (charges: readonly Charge[], slot: number, time: string) => Promise<readonly Grant[]>;

interface Batch extends Told {
  readonly time: string;
  readonly decisions: Decision[];
}

/** What goes to one slot: how many commands are under way, and what waits to be sent. */
interface Lane {
  readonly slot: number;
  underWay: number;
  readonly waiting: Batch[];
}

/**
 * A class, where a literal would do: V8 takes a literal that often lives through a collection (many wait for Redis while
 * it is busy) to live long, and makes all later ones in the old space. They are not collected there before a major
 * collection, which stops the hub for milliseconds, and keep alive what they refer to.
 */
class Decision {
  readonly charges: readonly Charge[];
  readonly resolve: (grants: readonly Grant[]) => void;
  readonly reject: (error: unknown) => void;

  constructor(charges: readonly Charge[], resolve: Decision["resolve"], reject: Decision["reject"]) {
    this.charges = charges;
    this.resolve = resolve;
    this.reject = reject;
  }
}

/**
 * Takes charges in Redis. Decisions that begin in the same turn go there as one command, and so do those that come while
 * several commands are under way: a command of its own for each costs this process and Redis several times what it takes to
 * judge. One that comes alone goes alone and at once.
 */
export function createTake({ dedupMs, tell, send }: TakeOptions): Take {
  const lanes = new Map<number, Lane>();
  /** Those in which a decision has begun in this turn. */
  const entered = new Set<Lane>();

  function batchOf(slot: number, time: string): Batch {
    let lane = lanes.get(slot);
    if (lane === undefined) {
      lane = { slot, underWay: 0, waiting: [] };
      lanes.set(slot, lane);
    }
    if (entered.size === 0) process.nextTick(sendEntered);
    entered.add(lane);
    const last = lane.waiting.at(-1);
    if (last !== undefined && last.time === time && !isFull(last)) return last;
    const batch: Batch = { time, keys: [], numbers: [], texts: [], decisions: [] };
    lane.waiting.push(batch);
    return batch;
  }

  function sendEntered(): void {
    const now = [...entered];
    entered.clear();
    for (const lane of now) sendWaiting(lane);
  }

  function sendWaiting(lane: Lane): void {
    const { waiting } = lane;
    while (waiting.length > 0 && (lane.underWay < maxUnderWay || isFull(waiting[0]!))) run(lane, waiting.shift()!);
    if (lane.underWay === 0) lanes.delete(lane.slot);
  }

  function run(lane: Lane, batch: Batch): void {
    if (batch.decisions.length === 0) return;
    const ended = (): void => {
      lane.underWay--;
      // Where decisions have just begun, more may come in this turn.
      if (!entered.has(lane)) sendWaiting(lane);
    };
    lane.underWay++;
    send(batch.keys, [batch.time, dedupMs, recordsOf(batch.numbers), ...batch.texts]).then(
      (answer) => {
        ended();
        settle(batch, answer);
      },
      (error: unknown) => {
        ended();
        for (const { reject } of batch.decisions) reject(error);
      },
    );
  }

  return (charges, slot, time) =>
    new Promise((resolve, reject) => {
      const batch = batchOf(slot, time);
      const { keys, numbers, texts } = batch;
      const before = [keys.length, numbers.length, texts.length] as const;
      try {
        for (const charge of charges) tell(charge, charges.length, batch);
      } catch (error) {
        // Half a decision would be read as part of the next one.
        [keys.length, numbers.length, texts.length] = before;
        throw error;
      }
      batch.decisions.push(new Decision(charges, resolve, reject));
    });
}

function isFull({ decisions, numbers }: Batch): boolean {
  return decisions.length >= maxDecisions || numbers.length >= maxCharges * chargeFields;
}

function settle({ decisions }: Batch, answer: readonly (number | string)[]): void {
  let at = 0;
  for (const { charges, resolve, reject } of decisions) {
    const outcome = answer[at];
    if (typeof outcome === "string") reject(new Error(`what lies under the key of a count is none: ${outcome}`));
    else resolve(charges.map((charge, i) => grantOf(charge, answer as readonly number[], at + i * numbersPerGrant)));
    at += charges.length * numbersPerGrant;
  }
}

function grantOf(charge: Charge, numbers: readonly number[], at: number): Grant {
  const outcome = numbers[at]!;
  const remaining = numbers[at + 2]!;
  const resetMs = numbers[at + 3]!;
  const retryAfterMs = numbers[at + 4]!;
  if (outcome === refused) {
    const grant = { allowed: false, granted: 0, remaining, resetMs, validForMs: 0 };
    return retryAfterMs < 0 ? grant : { ...grant, retryAfterMs };
  }
  const grant = { allowed: true, granted: numbers[at + 1]!, remaining, resetMs, validForMs: charge.limit.windowMs };
  return outcome === repeated ? { ...grant, repeated: true } : grant;
}
