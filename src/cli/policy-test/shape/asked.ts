import { list, mapOf, record } from "../../../policy/shape/collections.ts";
import { choice, integer, text } from "../../../policy/shape/scalars.ts";
import type { Shape } from "../../../policy/shape/shape.ts";
import type { StepAsked } from "../test-file.ts";
import { bool, either, made } from "./basics.ts";

const amount = integer("an amount", 0, Number.MAX_SAFE_INTEGER);

const detailed = record("an amount and how it is wanted", {
  amount: { shape: amount, description: "How many units are wanted.", required: true },
  best_effort: { shape: bool, description: "Whether fewer units are welcome.", default: "false" },
});

const quota = either(
  "an amount, or a map with `amount` and `best_effort`",
  made(amount, ({ value }) => ({ amount: value, bestEffort: false })),
  made(detailed, (read) =>
    read.amount === undefined ? undefined : { amount: read.amount.value, bestEffort: read.best_effort ?? false },
  ),
);

/** The keys of one of `descriptors:`. */
export const descriptorRecord = record("a descriptor", {
  entries: {
    shape: mapOf("a map of keys to texts", text()),
    description: "Its keys and values, as a proxy sends them. A key that is an attribute's name sets that attribute.",
    required: true,
  },
  hits: {
    shape: integer("a number of hits", -Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER),
    description: "Units wanted: 0 asks and takes nothing, below 0 gives back.",
    default: "the rule's `cost`",
  },
});

const descriptor = made(descriptorRecord, ({ entries, hits }) => ({
  entries: new Map((entries?.entries ?? []).map(({ name, value }) => [name, value.value])),
  hits: hits?.value,
}));

/** The keys of `ask:`. */
export const askRecord = record("what the caller asks for", {
  quotas: {
    shape: mapOf("a map of limit names to amounts", quota),
    description: "Limits that the caller names, with the amounts it wants.",
    default: "none: every limit that applies is charged",
  },
  dedup_id: { shape: text(), description: "Identity of the call, which a retry repeats.", default: "none" },
  caller: {
    shape: text(),
    description: "Who calls; `dedup_id` counts for one caller.",
    default: "nobody in particular",
  },
  at: {
    shape: choice("a kind of door", ["check", "ratelimit"]),
    description: "Which kind of door is asked.",
    default: "`check`; `ratelimit` where `descriptors` are given",
  },
  descriptors: {
    shape: list("a list of descriptors", descriptor),
    description: "What a rate limit door is asked about, each judged as one request beside what is given.",
    default: "one descriptor: what is given",
  },
});

/** What a caller asks beside its attributes. */
export const asked: Shape<StepAsked> = made(askRecord, ({ quotas, dedup_id: dedupId, caller, at, descriptors }) => ({
  ...(quotas !== undefined && { quotas: new Map(quotas.entries.map(({ name, value }) => [name, value])) }),
  ...(dedupId !== undefined && { dedupId: dedupId.value }),
  ...(caller !== undefined && { caller: caller.value }),
  ...(at !== undefined && { at: at.value }),
  ...(descriptors !== undefined && { at: "ratelimit", descriptors: descriptors.items }),
}));
