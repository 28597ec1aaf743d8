export { compilePolicies } from "./compile.ts";
export type { Compiled, CompileOptions, PolicyFile } from "./compile.ts";
export { emptied } from "./emptied.ts";
export { formatProblem } from "./format-problem.ts";
export type { FormatOptions } from "./format-problem.ts";
export { loadPolicies } from "./load.ts";
export type { Loaded, LoadOptions } from "./load.ts";
export type { Problem } from "./problem.ts";
export { policySchema, weirSchema } from "./schemas.ts";
