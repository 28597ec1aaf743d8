export { defineAdapter, capabilities } from "./adapter.ts";
export type { Adapter, Call, Capability, Instance, Methods } from "./adapter.ts";
export type { Host, Log } from "./host.ts";
export type { Inputs, InputType, InputTypeMap, InputTypes } from "./input.ts";
export type { Algorithm, Charge, Grant, Limit } from "./limit.ts";
export type { Exported, JsonValue, LogEntry } from "./log.ts";
export type { Exposition, MetricGroup, MetricKind, MetricRecorder, MetricSpec } from "./metric.ts";
export { refusalCodes } from "./verdict.ts";
export type { Allowed, Refused, RefusalCode, Verdict } from "./verdict.ts";
