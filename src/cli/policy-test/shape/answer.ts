import { list, mapOf, record } from "../../../policy/shape/collections.ts";
import { durationMs } from "../../../policy/shape/quantities.ts";
import { choice, text } from "../../../policy/shape/scalars.ts";
import type { Located, Shape } from "../../../policy/shape/shape.ts";
import { keyNode } from "../../../policy/yaml/node.ts";
import type { AdapterAnswer, Answer, Answers } from "../test-file.ts";
import { bool, either, json, made, refusalCode } from "./basics.ts";

const day = 86_400_000;

const word = made(choice("an answer", ["allow", "deny", "error", "timeout", "real"]), ({ value: kind }): Answer =>
  kind === "deny" ? { kind, code: "permission_denied" } : { kind },
);

const detailed = made(
  record("an answer", {
    allow: { shape: bool, description: "`true`: the adapter lets the request pass." },
    deny: { shape: refusalCode, description: "The adapter refuses, with this code." },
    message: { shape: text(), description: "What the adapter says with a refusal.", default: "nothing" },
    valid_for: { shape: durationMs(0, day), description: "How long the answer may be kept.", default: "not said" },
  }),
  ({ node: written, allow, deny, message, valid_for: validFor }, node, reading): Answer | undefined => {
    // A code that could not be read was told.
    if (deny === undefined && keyNode(written, "deny") !== undefined) return undefined;
    const kept = validFor !== undefined && { validForMs: validFor.value };
    if (deny !== undefined && allow === undefined) {
      return { kind: "deny", code: deny.value, ...(message !== undefined && { message: message.value }), ...kept };
    }
    if (allow === true && deny === undefined && message === undefined) return { kind: "allow", ...kept };
    return reading.mismatch(node, 'either "allow: true", or "deny" with a code and perhaps a message');
  },
);

const answer: Shape<Answer> = either("an answer", word, detailed);

const conditional = record("an answer for one input", {
  input: {
    shape: mapOf("a map of input names to values", json),
    description: "What the policy hands over under `with:`, some or all of it.",
    required: true,
  },
  answer: { shape: answer, description: "What the adapter answers then.", required: true },
});

/** The keys of an adapter under `adapters:`. */
export const answerRecord = record("the answers of an adapter", {
  answer: {
    shape: answer,
    description: "`allow`, `deny`, `error`, `timeout`, a map with `deny:`, `message:`, `valid_for:`, or `real`.",
    default: "the adapter itself answers; one that calls out does not",
  },
  for: {
    shape: list("a list of inputs and answers", conditional),
    description: "Answers for certain inputs; the first that fits holds.",
  },
});

const adapterAnswer: Shape<Located<AdapterAnswer>> = made(answerRecord, ({ answer, for: certain }, node) => ({
  node,
  value: {
    ...(answer !== undefined && { answer }),
    for: (certain?.items ?? []).flatMap((each) =>
      each.input === undefined || each.answer === undefined
        ? []
        : [
            {
              input: Object.fromEntries(each.input.entries.map(({ name, value }) => [name, value.value])),
              answer: each.answer,
            },
          ],
    ),
  },
}));

/** What adapters answer in place of their own work. */
export const answers: Shape<Answers> = made(
  mapOf("a map of adapter names to answers", adapterAnswer),
  ({ entries }) => new Map(entries.map(({ name, key, value }) => [name, { ...value, node: key }])),
);
