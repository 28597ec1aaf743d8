import { list, mapOf, record } from "../shape/collections.ts";
import { text } from "../shape/scalars.ts";
import type { Read } from "../shape/shape.ts";
import { value } from "./rule-fields.ts";

export const editsShape = record("header changes", {
  set: {
    shape: mapOf("a map of header names to expressions", value),
    description:
      "Replaces the header. A value that cannot be evaluated removes it, rather than letting the caller's own through.",
    default: "none",
  },
  append: {
    shape: mapOf("a map of header names to expressions", value),
    description: "Adds a value to the header. One that cannot be evaluated removes the header.",
    default: "none",
  },
  remove: {
    shape: list("a list of header names", text("a header name")),
    description: "Removes the header.",
    default: "none",
  },
});

export const queryShape = record("changes of query parameters", {
  set: {
    shape: mapOf("a map of parameter names to expressions", value),
    description: "Replaces the parameter, or adds it. A value that cannot be evaluated removes it.",
    default: "none",
  },
  remove: {
    shape: list("a list of parameter names", text("a parameter's name")),
    description: "Removes the parameter.",
    default: "none",
  },
});

export const headersShape = record("header changes of the request, of the response, or both", {
  request: { shape: editsShape, description: "Changes on the way to the service.", default: "none" },
  response: { shape: editsShape, description: "Changes on the way back.", default: "none" },
  query: {
    shape: queryShape,
    description: "Changes of query parameters on the way to the service. Only Envoy's ext_authz can carry them.",
    default: "none",
  },
});

export type RawQuery = Read<typeof queryShape>;
export type RawEdits = Read<typeof editsShape>;
