import { expression, word } from "../shape/scalars.ts";

/** The longest that a decision, or what one took, may be kept, in milliseconds. */
export const longestMs = 86_400_000;

export const ruleName = word("a name of letters, digits and . _ - :", /^[A-Za-z0-9_][A-Za-z0-9._:-]*$/, 100);
export const condition = expression("an expression that is true or false");
export const value = expression("an expression");
export const when = {
  shape: condition,
  description: "The rule applies only where this is true.",
  default: "always",
} as const;
export const unless = {
  shape: condition,
  description: "The rule does not apply where this is true. What cannot be evaluated does not excuse.",
  default: "never",
} as const;
