import test from "ava";
import fc from "fast-check";
import { Bag } from "../../../src/attributes/bag.ts";
import { Layout } from "../../../src/attributes/layout.ts";
import { AttributeDecoder } from "../../../src/wire/mixer/attribute-decoder.ts";
import { NumberedWords } from "../../../src/wire/mixer/numbered-words.ts";
import { viewOf } from "../../../src/wire/mixer/word-hash.ts";
import { fuzzRuns } from "../../fuzz-runs.ts";
import { compress, encode } from "./compress.ts";

const name = "destination.service.name";

function layoutOf(texts: readonly string[]): Layout {
  const layout = new Layout();
  const slot = layout.declare(name, "string");
  for (const text of texts) layout.declareText(slot, text);
  layout.declare("source.namespace", "string");
  return layout;
}

const services = Array.from({ length: 40 }, (_, i) => `service-${i}`);
const word = fc.oneof(
  fc.constantFrom(...services, "", "größe", "reviews"),
  fc.string({ unit: "binary", maxLength: 300 }),
);

test("numbered texts are found by their bytes among bytes of others, and nothing else is", (t) => {
  fc.assert(
    fc.property(fc.uniqueArray(word, { maxLength: 60 }), fc.array(word, { maxLength: 20 }), (texts, asked) => {
      const words = new NumberedWords({ slot: 0, texts });
      for (const text of [...texts, ...asked]) {
        const bytes = Buffer.from(`<${text}>`);
        const found = words.find(viewOf(bytes), 1, bytes.length - 1);
        const sent = bytes.toString("utf8", 1, bytes.length - 1);
        const expected = bytes.length - 2 > 256 ? -1 : texts.indexOf(sent);
        if (found !== expected) return false;
      }
      return true;
    }),
    { numRuns: fuzzRuns(300) },
  );
  t.pass();
});

test("a text with a lone surrogate, which no bytes say, is not found by what replaces it", (t) => {
  const words = new NumberedWords({ slot: 0, texts: ["a\ud800"] });
  const bytes = Buffer.from("a\ufffd");
  t.is(words.find(viewOf(bytes), 0, bytes.length), -1);
});

test("a bag that is filled with numbered texts holds what it holds without their numbers", (t) => {
  const numbered = new Bag(layoutOf(services));
  const plain = new Bag(layoutOf([]));
  const [decoder, other] = [new AttributeDecoder(), new AttributeDecoder()];
  fc.assert(
    fc.property(fc.option(word), fc.option(word), fc.boolean(), (service, namespace, changes) => {
      const sent = Object.fromEntries(
        Object.entries({ [name]: service, "source.namespace": namespace })
          .filter(([, text]) => text !== null)
          .map(([attribute, text]) => [attribute, { string: text! }]),
      );
      const bytes = encode(compress(sent));
      for (const [each, bag] of [
        [decoder, numbered],
        [other, plain],
      ] as const) {
        if (changes) each.change(bag, bytes, 0, bytes.length);
        else each.fill(bag, bytes, 0, bytes.length);
      }
      const number = numbered.getNumber(0);
      if (number >= 0 && services[number] !== numbered.peek(0)) return false;
      if (service !== null && services.includes(service) && number !== services.indexOf(service)) return false;
      return [0, 1].every((slot) => numbered.get(slot) === plain.get(slot));
    }),
    { numRuns: fuzzRuns(300) },
  );
  t.pass();
});
