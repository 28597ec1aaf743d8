/** What a program that embeds Weir imports, or one that calls a hub. Authors of adapters import `weir/sdk`. */
export { builtinAdapters } from "../adapters/index.ts";
export { createWeir } from "./weir.ts";
export type { Weir, WeirOptions } from "./weir.ts";
export { compilePolicies, formatProblem, loadPolicies } from "./policy/index.ts";
export type { Problem } from "./policy/index.ts";
export { createClient, createStreamClient } from "./client/index.ts";
