import type { Duration } from "./duration.ts";
import type { Ip } from "./ip.ts";
import type { Timestamp } from "./timestamp.ts";

/** The types an attribute can have. The names are those of policy files and of `weir.yaml`. */
export const attributeTypes = [
  "string",
  "int64",
  "double",
  "bool",
  "timestamp",
  "duration",
  "ip",
  "bytes",
  "email",
  "uri",
  "dns_name",
  "string_map",
] as const;

export type AttributeType = (typeof attributeTypes)[number];

/** A 64-bit integer: a `number` wherever it is a safe integer, a `bigint` beyond. Never both for the same value, so `===` compares. */
export type Int64 = number | bigint;

/** A string map attribute as a whole. */
export type StringMap = ReadonlyMap<string, string>;

/** What an attribute can hold. Which of these it is, is said by its declared type (`email`, `uri` and `dns_name` travel as string). */
export type Value = string | Int64 | boolean | Timestamp | Duration | Ip | Uint8Array | StringMap;
