import type { Charge, Grant } from "weir/sdk";

/** The most decisions, and about the most arguments, of one command: Redis serves nobody else while it judges them. */
const maxDecisions = 32;
const maxArgs = 1000;

const numbersPerGrant = 5;

/** Outcomes that the script tells; 1 is a grant. */
const refused = 0;
const repeated = 2;

export interface TakeBatchOptions {
  /** How long a deduplication id is remembered, in milliseconds. */
  readonly dedupMs: number;
  /** Writes a charge down as the script reads it. */
  readonly tell: (charge: Charge, keys: string[], args: (string | number)[]) => void;
  /** Runs the script over keys that one node answers for. */
  readonly send: (keys: readonly string[], args: readonly (string | number)[]) => Promise<readonly (number | string)[]>;
}

interface Batch {
  readonly time: string;
  readonly keys: string[];
  readonly args: (string | number)[];
  readonly decisions: Decision[];
}

interface Decision {
  readonly charges: readonly Charge[];
  readonly resolve: (grants: readonly Grant[]) => void;
  readonly reject: (error: unknown) => void;
}

/** Judges the charges of one decision, all or nothing. Their keys lie in one slot. `time` is the script's, or "". */
export type Take = (charges: readonly Charge[], slot: number, time: string) => Promise<readonly Grant[]>;

/**
 * Takes charges in Redis. Decisions that begin in the same turn go there as one command: a command of its own for each
 * costs this process and Redis several times what it takes to judge. One that begins alone goes alone, and none waits.
 */
export function createTake({ dedupMs, tell, send }: TakeBatchOptions): Take {
  /** Of this turn: what can take no more, and for each slot what is being filled. */
  let full: Batch[] = [];
  const filling = new Map<number, Batch>();

  function batchOf(slot: number, time: string): Batch {
    const before = filling.get(slot);
    if (before !== undefined) {
      const { decisions, args } = before;
      if (before.time === time && decisions.length < maxDecisions && args.length < maxArgs) return before;
      full.push(before);
    }
    if (filling.size === 0) process.nextTick(sendAll);
    const batch: Batch = { time, keys: [], args: [time, dedupMs], decisions: [] };
    filling.set(slot, batch);
    return batch;
  }

  function sendAll(): void {
    const batches = [...full, ...filling.values()];
    full = [];
    filling.clear();
    for (const batch of batches)
      send(batch.keys, batch.args).then(
        (answer) => settle(batch, answer),
        (error: unknown) => {
          for (const { reject } of batch.decisions) reject(error);
        },
      );
  }

  return (charges, slot, time) =>
    new Promise((resolve, reject) => {
      const { keys, args, decisions } = batchOf(slot, time);
      const [keysBefore, argsBefore] = [keys.length, args.length];
      try {
        args.push(charges.length);
        for (const charge of charges) tell(charge, keys, args);
      } catch (error) {
        // Half a decision would be read as part of the next one.
        [keys.length, args.length] = [keysBefore, argsBefore];
        throw error;
      }
      decisions.push({ charges, resolve, reject });
    });
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
