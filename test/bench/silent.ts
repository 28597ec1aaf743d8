import type { Log } from "../../src/sdk/index.ts";
import type { Observer } from "../../src/util/observer.ts";

/** An observer that nobody listens to. */
export const silentObserver: Observer = {
  call() {},
  decision() {},
  refusal() {},
  ruleFault() {},
  limitDegraded() {},
  adapterCall() {},
  quotaUse() {},
  adapterEvent() {},
  dropped() {},
  callerRefused() {},
  reload() {},
};

export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };
