import test from "ava";
import { nearest } from "../../src/util/nearest.ts";

const words = [
  "source.ip",
  "source.name",
  "source.namespace",
  "request.headers",
  "request.path",
  "response.code",
  "when",
];

const cases: readonly (readonly [string, string | undefined])[] = [
  ["source.nmespace", "source.namespace"],
  ["source.namesapce", "source.namespace"],
  ["soruce.ip", "source.ip"],
  ["Source.IP", "source.ip"],
  ["request_path", "request.path"],
  ["request.header", "request.headers"],
  ["whne", "when"],
  ["wn", undefined],
  ["completely.different", undefined],
  ["", undefined],
  ["x".repeat(100_000), undefined],
];

for (const [word, expected] of cases) {
  test(`${JSON.stringify(word.slice(0, 30))} was meant as ${expected ?? "nothing known"}`, (t) => {
    t.is(nearest(word, words), expected);
  });
}

test("of two that are equally near the one that sorts first is meant, in whatever order they come", (t) => {
  t.is(nearest("cat", ["car", "cab"]), "cab");
  t.is(nearest("cat", ["cab", "car"]), "cab");
});

test("a swap of neighbours is one edit", (t) => {
  t.is(nearest("dney", ["deny", "dnexx"]), "deny");
});
