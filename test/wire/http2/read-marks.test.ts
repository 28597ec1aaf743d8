import test from "ava";
import { ReadMarks } from "../../../src/wire/http2/read-marks.ts";

test("marks are told when the ping behind them is answered, those set meanwhile with the next", (t) => {
  let pings = 0;
  const marks = new ReadMarks(() => pings++);
  const told: string[] = [];
  t.false(marks.answered(), "no ping is out");
  marks.add(() => told.push("one"));
  marks.add(() => told.push("two"));
  marks.add(() => told.push("three"));
  t.is(pings, 1);
  t.true(marks.answered());
  t.deepEqual([told.splice(0), pings], [["one"], 2]);
  t.true(marks.answered());
  t.deepEqual([told, pings], [["two", "three"], 2]);
  t.false(marks.answered());
});

test("a mark may be set while marks are told", (t) => {
  let pings = 0;
  const marks = new ReadMarks(() => pings++);
  let isTold = false;
  marks.add(() => marks.add(() => (isTold = true)));
  marks.answered();
  t.is(pings, 2);
  marks.answered();
  t.true(isTold);
});
