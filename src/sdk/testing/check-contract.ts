import { strict as assert } from "node:assert";
import type { InputTypes, Inputs } from "../input.ts";
import { refusalCodes } from "../verdict.ts";
import type { Verdict } from "../verdict.ts";
import { fakeCall } from "./make-instance.ts";
import type { ContractTest } from "./test-adapter.ts";

/** An input of `check`, and whether it is to be allowed. */
export interface CheckCase<I extends Inputs = Inputs> {
  readonly input: InputTypes<I>;
  readonly allow: boolean;
}

/** What `check` must keep to. */
export function checkContract(cases: readonly CheckCase[]): ContractTest[] {
  return [
    {
      title: "judges the given inputs as expected",
      async run({ instance, call }) {
        assert.ok(cases.length > 0, "name at least one input under `checks`");
        for (const { input, allow } of cases) {
          const verdict = await instance.check!(input, call);
          assertVerdict(verdict);
          assert.equal(verdict.allow, allow, `${JSON.stringify(input)}: ${JSON.stringify(verdict)}`);
        }
      },
    },
    {
      title: "answers verdicts of the right shape",
      async run({ instance, call }) {
        for (const { input } of cases) assertVerdict(await instance.check!(input, call));
      },
    },
    {
      title: "gives the same input the same verdict",
      async run({ instance, call }) {
        for (const { input } of cases) {
          assert.deepEqual(await instance.check!(input, call), await instance.check!(input, call));
        }
      },
    },
    {
      title: "judges many inputs at once, each by itself",
      async run({ instance, call }) {
        const many = Array.from({ length: 50 }, () => cases).flat();
        const verdicts = await Promise.all(many.map(({ input }) => instance.check!(input, call)));
        for (const verdict of verdicts) assertVerdict(verdict);
        assert.deepEqual(
          verdicts.map((verdict) => verdict.allow),
          many.map(({ allow }) => allow),
        );
      },
    },
    {
      title: "ends a check whose call is aborted, with a verdict or a fault",
      async run({ instance }) {
        const controller = new AbortController();
        controller.abort();
        assert.ok(cases.length > 0, "name at least one input under `checks`");
        const { input } = cases[0]!;
        const answer = await Promise.resolve()
          .then(() => instance.check!(input, fakeCall(controller)))
          .catch(() => undefined);
        if (answer !== undefined) assertVerdict(answer);
      },
    },
  ];
}

function assertVerdict(verdict: Verdict): void {
  assert.equal(typeof (verdict as Verdict | undefined)?.allow, "boolean", `no verdict: ${JSON.stringify(verdict)}`);
  for (const number of [verdict.validForMs, verdict.validUses]) {
    if (number !== undefined) assert.ok(Number.isFinite(number) && number >= 0, `${number} is no validity`);
  }
  if (verdict.allow) return;
  if (verdict.code !== undefined) assert.ok(Object.hasOwn(refusalCodes, verdict.code), `${verdict.code} is no code`);
  if (verdict.message !== undefined) assert.equal(typeof verdict.message, "string");
}
