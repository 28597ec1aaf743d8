import test from "ava";
import { HeldBytes } from "../../src/wire/held-bytes.ts";

test("when too much is held, whoever began first is refused, until it is no more too much", (t) => {
  let count = 0;
  const held = new HeldBytes(10_000, () => count++);
  const refused: number[] = [];
  const holders = [0, 1, 2, 3].map((i) => ({ refuse: () => void refused.push(i) }));
  held.set(holders[0]!, 4096);
  held.set(holders[1]!, 4096);
  t.deepEqual(refused, []);
  held.set(holders[2]!, 4096);
  t.deepEqual(refused, [0]);
  held.set(holders[3]!, 8000);
  t.deepEqual(refused, [0, 1, 2]);
  t.is(count, 3);
  t.is(held.total, 8000);
  held.set(holders[3]!, 0);
  t.is(held.total, 0);
});

test("who held nothing in between begins anew", (t) => {
  const refused: string[] = [];
  const held = new HeldBytes(100, () => undefined);
  const [a, b] = ["a", "b"].map((name) => ({ refuse: () => void refused.push(name) })) as [
    { refuse(): void },
    { refuse(): void },
  ];
  held.set(a, 50);
  held.set(b, 50);
  held.set(a, 0);
  held.set(a, 51);
  t.deepEqual(refused, ["b"]);
});
