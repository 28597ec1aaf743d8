import { randomBytes } from "node:crypto";
import test from "ava";
import { decisionIds, lazyDecisionIds } from "../../src/runtime/decision-id.ts";

/** So many that randomness is drawn for them more than once. */
const many = 3000;

test("ids are 128 random bits in hexadecimal, and none comes twice", (t) => {
  for (const next of [decisionIds(randomBytes), () => lazyId().text]) {
    const ids = Array.from({ length: many }, next);
    t.true(ids.every((id) => /^[0-9a-f]{32}$/.test(id)));
    t.is(new Set(ids).size, many);
  }
});

const lazyId = lazyDecisionIds(randomBytes);

test("both kinds of ids say the same of the same random bits", (t) => {
  const ascending = () => {
    let next = 0;
    return (bytes: number): Uint8Array => Uint8Array.from({ length: bytes }, () => next++ % 251);
  };
  const text = decisionIds(ascending());
  const lazy = lazyDecisionIds(ascending());
  for (let i = 0; i < many; i++) t.is(lazy().text, text());
});

test("an id writes its text, also after others were drawn", (t) => {
  const ids = Array.from({ length: many }, lazyId);
  for (const id of ids) {
    const words = new Float64Array(6);
    const bytes = Buffer.from(words.buffer).fill("<>");
    id.write(words, 1);
    t.is(bytes.toString(), `<><><><>${id.text}<><><><>`);
  }
});
