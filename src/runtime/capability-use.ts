import type { Call, Charge, Grant, HoldChange, HoldOutcome, Instance, Share, Stake, Verdict } from "../sdk/index.ts";
import { grantsFlaw, outcomesFlaw, sharesFlaw, verdictFlaw } from "./answer-flaw.ts";
import { Failure } from "./failure.ts";

/** How a capability is asked for something, and what is wrong with its answer, if anything. */
export interface Use<A, T> {
  readonly capability: string;
  readonly ask: (instance: Instance, asked: A, call: Call) => T | Promise<T>;
  readonly flawOf: (answer: T, asked: A) => string | undefined;
}

export const checking: Use<object, Verdict> = {
  capability: "check",
  ask: (instance, input, call) => instance.check!(input as never, call),
  flawOf: verdictFlaw,
};

export const charging: Use<readonly Charge[], readonly Grant[]> = {
  capability: "quota",
  ask: (instance, charges, call) => instance.quota!(charges, call),
  flawOf: grantsFlaw,
};

export const refunding: Use<readonly Charge[], true> = {
  capability: "refund",
  ask(instance, charges, call) {
    const done = instance.refund!(charges, call);
    return done instanceof Promise ? done.then((): true => true) : true;
  },
  flawOf: () => undefined,
};

export const holding: Use<readonly HoldChange[], readonly (readonly HoldOutcome[])[]> = {
  capability: "holds",
  ask: (instance, changes, call) => instance.holds!(changes, call),
  flawOf: outcomesFlaw,
};

export const apportioning: Use<readonly Stake[], readonly Share[]> = {
  capability: "apportion",
  ask: (instance, stakes, call) => instance.apportion!(stakes, call),
  flawOf: sharesFlaw,
};

/** The answer, unless it has not the shape that the SDK asks for. Looking at it runs code of the adapter, if it has getters. */
export function judged<A, T>({ capability, flawOf }: Use<A, T>, asked: A, answer: T): T | Failure {
  try {
    const flaw = flawOf(answer, asked);
    return flaw === undefined ? answer : new Failure("fault", new TypeError(`its answer to ${capability}: ${flaw}`));
  } catch (error) {
    return new Failure("fault", error);
  }
}
