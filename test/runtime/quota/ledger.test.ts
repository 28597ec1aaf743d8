import test from "ava";
import { Ledger } from "../../../src/runtime/quota/ledger.ts";

const budget = { rate: 1000, burst: 1000 };

test("few claims are looked through whenever one comes", (t) => {
  const ledger = new Ledger(budget, true, 0);
  for (let i = 0; i < 200; i++) {
    ledger.add(1, 0);
    t.true(ledger.plan(0, 1000));
  }
});

test("many claims are not looked through for each that comes, and who came is not passed over", (t) => {
  const ledger = new Ledger(budget, true, 0);
  for (let i = 0; i < 4000; i++) ledger.add(1, 0);
  t.true(ledger.plan(0, 1000));
  const late = ledger.add(1, 0);
  t.false(ledger.plan(50, 1000));
  ledger.settle(50);
  t.false(ledger.plan(50, 1000));
  ledger.settle(150);
  t.true(ledger.plan(150, 1000));
  t.true(ledger.claims.has(late));
});

test("what has run out of many claims counts a little longer, and then no more", (t) => {
  const ledger = new Ledger(budget, true, 0);
  const claims = Array.from({ length: 400 }, () => ledger.add(1, 0));
  for (const claim of claims) ledger.commit(claim, { rate: 1, burst: 2 }, 0, 1000);
  ledger.settle(995);
  ledger.settle(1000);
  t.is(ledger.held.rate, 400);
  ledger.settle(1010);
  t.is(ledger.held.rate, 0);
});
