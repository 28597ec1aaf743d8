import type { AttributeType } from "./value.ts";

/** The moment from which an attribute is known: before the request (`check`, and at report too) or only after it (`report`). */
export type Phase = "check" | "report";

/** One word of the vocabulary. */
export interface Attribute {
  readonly name: string;
  readonly type: AttributeType;
  readonly known: Phase;
  readonly description: string;
}

/** Every attribute by its name. Immutable once made. */
export type Vocabulary = ReadonlyMap<string, Attribute>;
