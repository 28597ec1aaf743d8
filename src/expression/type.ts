import type { AttributeType } from "../attributes/value.ts";

/** The static type of an expression. */
export type Type =
  | { readonly kind: AttributeType | "uint64" | "null" | "dyn" | "type" }
  | { readonly kind: "list"; readonly element: Type }
  | { readonly kind: "map"; readonly key: Type; readonly value: Type }
  | { readonly kind: "optional"; readonly value: Type }
  /** Ranges of addresses, made by `cidr("10.0.0.0/8")`. */
  | { readonly kind: "cidr" }
  | { readonly kind: "message"; readonly name: string };
