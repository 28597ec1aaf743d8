import test from "ava";
import fc from "fast-check";
import {
  readTraceContext,
  traceFormats,
  traceHeaders,
  type TraceContext,
  type TraceFormat,
} from "../../src/attributes/trace-context.ts";
import { inTraceShare } from "../../src/util/trace-share.ts";
import { fuzzRuns } from "../fuzz-runs.ts";

const trace = "4bf92f3577b34da6a3ce929d0e0e4736";
const span = "00f067aa0ba902b7";
const parent = "05e3ac9a4f6e3b90";
const ids = { trace, span };

function read(headers: Readonly<Record<string, string>>, formats: readonly TraceFormat[] = traceFormats) {
  return readTraceContext((name) => headers[name], formats);
}

const cases: readonly [title: string, headers: Readonly<Record<string, string>>, read: TraceContext | undefined][] = [
  ["nothing", {}, undefined],
  // https://www.w3.org/TR/trace-context-1/
  ["W3C, sampled", { traceparent: `00-${trace}-${span}-01` }, { ids, sampled: true }],
  ["W3C, not sampled", { traceparent: `00-${trace}-${span}-00` }, { ids, sampled: false }],
  ["flags of W3C that are not known", { traceparent: `00-${trace}-${span}-ff` }, { ids, sampled: true }],
  [
    "W3C with a state",
    { traceparent: `00-${trace}-${span}-01`, tracestate: "a=1,b=2" },
    { ids, sampled: true, state: "a=1,b=2" },
  ],
  [
    "a state that is too long",
    { traceparent: `00-${trace}-${span}-01`, tracestate: `a=${"1".repeat(511)}` },
    { ids, sampled: true },
  ],
  ["a state that is no text", { traceparent: `00-${trace}-${span}-01`, tracestate: "a=\n" }, { ids, sampled: true }],
  ["a state alone", { tracestate: "a=1" }, undefined],
  ["a later version", { traceparent: `01-${trace}-${span}-01` }, { ids, sampled: true }],
  ["a later version that goes on", { traceparent: `cc-${trace}-${span}-01-what.ever` }, { ids, sampled: true }],
  ["a later version that goes on for long", { traceparent: `cc-${trace}-${span}-01-`.padEnd(257, "x") }, undefined],
  ["a later version that goes on without a dash", { traceparent: `cc-${trace}-${span}-01.what` }, undefined],
  ["version 00 that goes on", { traceparent: `00-${trace}-${span}-01-what` }, undefined],
  ["version 00 with a dash behind it", { traceparent: `00-${trace}-${span}-01-` }, undefined],
  ["version ff", { traceparent: `ff-${trace}-${span}-01` }, undefined],
  ["W3C in upper case", { traceparent: `00-${trace.toUpperCase()}-${span}-01` }, undefined],
  ["a trace of zeros", { traceparent: `00-${"0".repeat(32)}-${span}-01` }, undefined],
  ["a span of zeros", { traceparent: `00-${trace}-${"0".repeat(16)}-01` }, undefined],
  ["a trace that is short", { traceparent: `00-${trace.slice(1)}-${span}-01` }, undefined],
  ["flags that are short", { traceparent: `00-${trace}-${span}-1` }, undefined],
  ["two of them", { traceparent: `00-${trace}-${span}-01,00-${trace}-${span}-01` }, undefined],
  ["space before it", { traceparent: ` 00-${trace}-${span}-01` }, undefined],
  ["a line behind it", { traceparent: `00-${trace}-${span}-01\n` }, undefined],
  // https://github.com/openzipkin/b3-propagation
  ["b3", { b3: `${trace}-${span}-1-${parent}` }, { ids: { ...ids, parent }, sampled: true }],
  ["b3 that is not sampled", { b3: `${trace}-${span}-0` }, { ids, sampled: false }],
  ["b3 for debugging", { b3: `${trace}-${span}-d` }, { ids, sampled: true }],
  ["b3 that leaves the decision", { b3: `${trace}-${span}` }, { ids }],
  ["b3 with a parent and no decision", { b3: `${trace}-${span}-${parent}` }, { ids: { ...ids, parent } }],
  [
    "b3 of 64 bits",
    { b3: `${trace.slice(16)}-${span}-1` },
    { ids: { trace: `${"0".repeat(16)}${trace.slice(16)}`, span }, sampled: true },
  ],
  ["b3 that only decides against", { b3: "0" }, { sampled: false }],
  ["b3 that only decides for", { b3: "1" }, { sampled: true }],
  ["b3 that is something else", { b3: "x" }, undefined],
  ["b3 with a trace of zeros", { b3: `${"0".repeat(32)}-${span}-1` }, undefined],
  ["b3 in upper case", { b3: `${trace.toUpperCase()}-${span.toUpperCase()}-1` }, { ids, sampled: true }],
  [
    "B3 in several headers",
    { "x-b3-traceid": trace, "x-b3-spanid": span, "x-b3-parentspanid": parent, "x-b3-sampled": "1" },
    { ids: { ...ids, parent }, sampled: true },
  ],
  [
    "B3 of an early tracer",
    { "x-b3-traceid": trace, "x-b3-spanid": span, "x-b3-sampled": "false" },
    { ids, sampled: false },
  ],
  ["B3 for debugging", { "x-b3-traceid": trace, "x-b3-spanid": span, "x-b3-flags": "1" }, { ids, sampled: true }],
  ["B3 that leaves the decision", { "x-b3-traceid": trace, "x-b3-spanid": span }, { ids }],
  ["B3 without a span", { "x-b3-traceid": trace, "x-b3-sampled": "1" }, undefined],
  ["B3 with a broken trace", { "x-b3-traceid": `${trace}0`, "x-b3-spanid": span }, undefined],
  ["B3 with a broken parent", { "x-b3-traceid": trace, "x-b3-spanid": span, "x-b3-parentspanid": "?" }, { ids }],
  ["B3 that only decides", { "x-b3-sampled": "0" }, { sampled: false }],
];

for (const [title, headers, expected] of cases) {
  test(`a trace context is read of headers: ${title}`, (t) => {
    t.deepEqual(read(headers), expected);
  });
}

test("the first format that is there and valid counts, and the single B3 header before the others", (t) => {
  const other = { trace: "1".repeat(32), span: "2".repeat(16) };
  const w3c = { traceparent: `00-${trace}-${span}-01` };
  const b3 = { b3: `${other.trace}-${other.span}-0` };
  const multi = { "x-b3-traceid": "3".repeat(32), "x-b3-spanid": "4".repeat(16) };
  t.deepEqual(read({ ...w3c, ...b3, ...multi })?.ids, ids);
  t.deepEqual(read({ ...w3c, ...b3, ...multi }, ["b3", "w3c"])?.ids, other);
  t.deepEqual(read({ ...w3c, ...b3 }, ["b3"])?.ids, other);
  t.is(read(b3, ["w3c"]), undefined);
  t.deepEqual(read({ traceparent: "00-x", ...b3, ...multi })?.ids, other);
  t.deepEqual(read({ b3: "broken", ...multi })?.ids, { trace: "3".repeat(32), span: "4".repeat(16) });
});

test("whatever headers hold, what is read of them is whole or nothing", (t) => {
  const piece = fc.constantFrom(trace, span, parent, "00", "01", "ff", "-", "0", "d", "0".repeat(16), "é", "\n");
  const text = fc.oneof(
    fc.string(),
    fc.array(piece, { maxLength: 9 }).map((pieces) => pieces.join("")),
  );
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...traceHeaders), text), (headers) => {
      const context = read(headers);
      t.true(context?.ids !== undefined || context === undefined || context.sampled !== undefined);
      if (context?.ids === undefined) return;
      t.regex(context.ids.trace, /^(?!0{32})[0-9a-f]{32}$/);
      t.regex(context.ids.span, /^(?!0{16})[0-9a-f]{16}$/);
      if (context.ids.parent !== undefined) t.regex(context.ids.parent, /^(?!0{16})[0-9a-f]{16}$/);
    }),
    { numRuns: fuzzRuns(300) },
  );
});

test("a share of the traces is the same for everybody, and a larger one has all of a smaller one", (t) => {
  // What OpenTelemetry's TraceIdRatioBased says in Go and Python: the lower 64 bits, held against share * 2^64.
  const low = (id: string): bigint => BigInt(`0x${id.slice(16)}`);
  const hex = fc.stringMatching(/^[0-9a-f]{32}$/);
  const share = fc.double({ min: 0, max: 1, noNaN: true });
  fc.assert(
    fc.property(hex, share, share, (id, a, b) => {
      const [smaller, larger] = [Math.min(a, b), Math.max(a, b)];
      if (inTraceShare(id, smaller)) t.true(inTraceShare(id, larger));
      const bound = BigInt(Math.round(a * 2 ** 52)) << 12n;
      if (low(id) + 4096n < bound) t.true(inTraceShare(id, a));
      if (low(id) > bound + 4096n) t.false(inTraceShare(id, a));
    }),
    { numRuns: fuzzRuns(300) },
  );
  t.true(inTraceShare("f".repeat(32), 1));
  t.false(inTraceShare("0".repeat(32), 0));
  t.true(inTraceShare(`${"f".repeat(16)}7${"f".repeat(15)}`, 0.5));
  t.false(inTraceShare(`${"0".repeat(16)}8${"0".repeat(15)}`, 0.5));
});
