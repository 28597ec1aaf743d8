export { testAdapter } from "./testing/test-adapter.ts";
export type { ContractOptions, TestFunction } from "./testing/test-adapter.ts";
export { fakeHost } from "./testing/fake-host.ts";
export type { FakeHost, FakeHostOptions, LogLine } from "./testing/fake-host.ts";
export { fakeCall, makeInstance } from "./testing/make-instance.ts";
