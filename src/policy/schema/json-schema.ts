import { policyShape } from "./policy.ts";
import type { JsonSchema } from "../shape/shape.ts";
import { weirShape } from "./weir.ts";

const draft = "https://json-schema.org/draft/2020-12/schema";

/** The JSON Schema of one document of a policy file, for editors. Made from the shapes that read the files. */
export function policySchema(): JsonSchema {
  return { $schema: draft, title: "Weir policy", ...policyShape.schema };
}

/** The JSON Schema of `weir.yaml`, for editors. */
export function weirSchema(): JsonSchema {
  return { $schema: draft, title: "weir.yaml", ...weirShape.schema };
}
