import { strict as assert } from "node:assert";
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { systemTimers } from "../../util/timers.ts";
import { late, within } from "../../util/within.ts";
import type { Adapter, Call, Capability, Instance } from "../adapter.ts";
import { capabilities } from "../adapter.ts";
import { inputTypes } from "../input.ts";
import type { Inputs } from "../input.ts";
import { misspeltMembers } from "../misspelt.ts";
import { outputTypes } from "../output.ts";
import type { Outputs } from "../output.ts";
import { attributesContract, type AttributesCase } from "./attributes-contract.ts";
import { checkContract } from "./check-contract.ts";
import type { CheckCase } from "./check-contract.ts";
import { fakeHost } from "./fake-host.ts";
import type { FakeHost } from "./fake-host.ts";
import { holdsContract } from "./holds-contract.ts";
import { logsContract } from "./logs-contract.ts";
import type { LogsOptions } from "./logs-contract.ts";
import { fakeCall, makeInstance } from "./make-instance.ts";
import { metricsContract } from "./metrics-contract.ts";
import { quotaContract } from "./quota-contract.ts";
import type { QuotaOptions } from "./quota-contract.ts";
import { spansContract } from "./spans-contract.ts";
import type { SpansOptions } from "./spans-contract.ts";
import { tableContract } from "./table-contract.ts";

/** How a test runner declares a test: `test` of ava, node:test, vitest and others. */
export type TestFunction = (title: string, run: (context: unknown) => Promise<void>) => unknown;

/** What one test of the contract works with. */
export interface Fixture {
  readonly instance: Instance;
  readonly host: FakeHost;
  readonly call: Call;
  /** Closes the instance before the test ends, once. */
  close(): Promise<void>;
}

/** One sentence of the contract, and how it is tried. */
export interface ContractTest {
  readonly title: string;
  run(fixture: Fixture): void | Promise<void>;
}

interface CommonOptions<C extends StandardSchemaV1> {
  /** A valid configuration as an operator writes it, or a function that makes a fresh one for each test. */
  readonly config: StandardSchemaV1.InferInput<C> | (() => StandardSchemaV1.InferInput<C>);
  /** Put before each test's title. Default: the adapter's name. */
  readonly title?: string;
  /** Configurations that must be refused, beside one with an unknown key. */
  readonly refusedConfigs?: readonly unknown[];
}

/** What the contract needs to know beside the adapter: more for each capability that it declares. */
export type ContractOptions<
  P extends Capability,
  I extends Inputs,
  C extends StandardSchemaV1,
  O extends Outputs = Outputs,
> = CommonOptions<C> &
  ("check" extends P ? { readonly checks: readonly CheckCase<I>[] } : unknown) &
  ("attributes" extends P ? { readonly attributes: readonly AttributesCase<I, O>[] } : unknown) &
  ("quota" extends P ? { readonly quota?: QuotaOptions } : unknown) &
  ("logs" extends P ? { readonly logs: LogsOptions } : unknown) &
  ("spans" extends P ? { readonly spans: SpansOptions } : unknown);

/** How long one test may take: a promise that nobody resolves is told as such, whatever the runner does about it. */
const patienceMs = 60_000;

/**
 * Declares the tests that every adapter has to pass, for the capabilities that it declares. Run it under the runner you
 * like: `testAdapter(test, adapter, { config: {} })`. Each test makes an instance of its own, with a {@link fakeHost}.
 */
export function testAdapter<
  const P extends Capability,
  const I extends Inputs,
  C extends StandardSchemaV1,
  const O extends Outputs,
>(test: TestFunction, adapter: Adapter<P, I, C, O>, options: ContractOptions<P, I, C, O>): void {
  const provides: readonly Capability[] = adapter.provides;
  const declare = (title: string, run: () => void | Promise<void>): void => {
    test(`${options.title ?? adapter.name}: ${title}`, async (context) => {
      const result = await within(Promise.resolve(run()), patienceMs, systemTimers);
      if (result === late) assert.fail(`it did not end within ${patienceMs / 1000} s: some promise is never resolved`);
      (context as { pass?: () => void } | undefined)?.pass?.();
    });
  };
  const config = (): StandardSchemaV1.InferInput<C> =>
    typeof options.config === "function" ? (options.config as () => unknown)() : options.config;

  declare("says what it is", () => {
    assert.match(adapter.name, /^[a-z][a-z0-9-]*$/);
    assert.ok(adapter.provides.length > 0, "it provides nothing");
    for (const capability of adapter.provides)
      assert.ok(capabilities.includes(capability), `${capability} is no capability`);
    for (const [name, type] of Object.entries(adapter.input ?? {}))
      assert.ok(inputTypes.includes(type), `the input ${name} has the type ${String(type)}, which is none`);
    assert.ok(
      adapter.outputs !== undefined || !provides.includes("attributes"),
      "it provides attributes without outputs",
    );
    for (const [name, type] of Object.entries(adapter.outputs ?? {}))
      assert.ok(outputTypes.includes(type), `the output ${name} has the type ${String(type)}, which is none`);
  });

  declare("refuses configurations that are not valid", async () => {
    const wrong = [{ ...(config() as object), "not-a-key": 1 }, ...(options.refusedConfigs ?? [])];
    for (const candidate of wrong) {
      const result = await adapter.config["~standard"].validate(candidate);
      assert.ok(result.issues !== undefined && result.issues.length > 0, `took ${JSON.stringify(candidate)}`);
    }
  });

  declare("makes instances with the methods that it declares, and closes them without use", async () => {
    const host = fakeHost();
    const instance = (await makeInstance(adapter, config(), host)) as Instance;
    try {
      for (const capability of capabilities) {
        const has = typeof instance[capability] === "function";
        const declares = provides.includes(capability);
        assert.ok(has || !declares, `it provides ${capability}, and the instance has no such method`);
        assert.ok(declares || !has, `the instance has a method ${capability}, which is not among what it provides`);
      }
      const [misspelt] = misspeltMembers(instance, adapter.provides);
      assert.ok(!misspelt, `the instance has "${misspelt?.name}", which nobody calls: is "${misspelt?.meant}" meant?`);
    } finally {
      await instance.close?.();
      host.close();
    }
  });

  declare("says with text why it cannot serve, or nothing", async () => {
    const host = fakeHost();
    const instance = (await makeInstance(adapter, config(), host)) as Instance;
    try {
      const reason: unknown = instance.unready?.();
      assert.ok(reason === undefined || typeof reason === "string", `unready answers ${typeof reason}`);
    } finally {
      await instance.close?.();
      host.close();
    }
  });

  declare("makes instances that live beside each other", async () => {
    const [one, two] = [fakeHost({ name: "one" }), fakeHost({ name: "two" })];
    const instances = [await makeInstance(adapter, config(), one), await makeInstance(adapter, config(), two)];
    for (const instance of instances) await (instance as Instance).close?.();
    one.close();
    two.close();
  });

  const given = options as CommonOptions<C> & {
    checks?: readonly CheckCase[];
    attributes?: readonly AttributesCase[];
    quota?: QuotaOptions;
    logs?: LogsOptions;
    spans?: SpansOptions;
  };
  const contract: ContractTest[] = [
    ...(provides.includes("check") ? checkContract(given.checks ?? []) : []),
    ...(provides.includes("attributes") ? attributesContract(adapter, given.attributes ?? []) : []),
    ...(provides.includes("quota") ? quotaContract(given.quota ?? {}, provides.includes("holds")) : []),
    ...(provides.includes("holds") ? holdsContract(given.quota ?? {}) : []),
    ...(provides.includes("metrics") ? metricsContract() : []),
    ...(provides.includes("logs") ? logsContract(needed(given.logs, "logs")) : []),
    ...(provides.includes("spans") ? spansContract(needed(given.spans, "spans")) : []),
    ...(provides.includes("table") ? tableContract() : []),
  ];
  for (const { title, run } of contract) {
    declare(title, async () => {
      const host = fakeHost();
      const instance = (await makeInstance(adapter, config(), host)) as Instance;
      let closed: Promise<void> | undefined;
      const close = (): Promise<void> => (closed ??= Promise.resolve(instance.close?.()).then(() => host.close()));
      try {
        await run({ instance, host, call: fakeCall(), close });
      } finally {
        await close();
      }
    });
  }
}

/** What the types ask for and plain JavaScript may forget. */
function needed<T>(option: T | undefined, name: string): T {
  if (option === undefined)
    throw new TypeError(`testAdapter needs the option ${name}: how tests see what was delivered`);
  return option;
}
