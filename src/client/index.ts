export type { AttributeInput, Attributes } from "./attributes.ts";
export type { ClientTls } from "./channel.ts";
export { createClient } from "./mixer-client.ts";
export type { Client, ClientOptions } from "./mixer-client.ts";
export type { CheckOptions, CheckResult, HeaderOperation, QuotaResult, Referenced } from "./result.ts";
export { createStreamClient } from "./stream-client.ts";
export type { HeldLimit, ReportResult, StreamClient, StreamClientOptions } from "./stream-client.ts";
