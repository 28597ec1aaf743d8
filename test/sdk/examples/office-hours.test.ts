import test from "ava";
import { fakeCall, fakeHost, makeInstance, testAdapter } from "weir/sdk/testing";
import officeHours from "./office-hours.ts";

testAdapter(test, officeHours, {
  config: { from: 0, to: 24 },
  refusedConfigs: [{ from: 9 }, { from: 25, to: 26 }],
  checks: [{ input: {}, allow: true }],
});

test("opens and closes by the clock, but not for everybody", async (t) => {
  const host = fakeHost({ now: Date.UTC(2026, 0, 1, 8, 59) });
  const { check } = await makeInstance(officeHours, { from: 9, to: 17, always: ["ann"] }, host);

  t.false((await check({ user: "bob" }, fakeCall())).allow);
  t.true((await check({ user: "ann" }, fakeCall())).allow);
  t.is(host.events.get("closed"), 1);

  await host.advance(60_000);
  t.true((await check({ user: "bob" }, fakeCall())).allow);
});
