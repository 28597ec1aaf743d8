import type { Bag } from "../attributes/bag.ts";
import type { Fault } from "../attributes/fault.ts";
import type { Layout } from "../attributes/layout.ts";
import type { Phase, Vocabulary } from "../attributes/vocabulary.ts";
import type { Span } from "../util/span.ts";
import type { Type } from "./type.ts";

/** What an expression may name, and where what it reads is held. */
export interface Environment {
  readonly vocabulary: Vocabulary;
  /** Slots for what the expression reads are declared here. */
  readonly layout: Layout;
  /** `check`: reading an attribute that is only known at report time is a problem. */
  readonly phase: Phase;
}

/** An attribute, or one key of a string map, that an expression may read. */
export interface AttributeUse {
  readonly name: string;
  readonly key?: string;
  /** Whether every read of it stands behind a `has()` test of it, so that its absence cannot be an outcome. */
  readonly guarded: boolean;
}

/** `slot == value` for a string: a test that must hold for the expression to be true. */
export interface Equality {
  readonly slot: number;
  readonly value: string;
}

/**
 * A test of a slot against constant texts, as data: whoever has thousands of tests lays them side by side and brings less
 * into the processor's caches than by calling as many functions.
 */
export interface TextTest {
  /** What must hold between the slot's text and the only one of `texts`; for `equals`, one of them. */
  readonly kind: "equals" | "startsWith" | "endsWith" | "contains";
  readonly slot: number;
  readonly texts: readonly string[];
  /** Whether the outcome is turned round: `!=`, `!(...)`. */
  readonly negated: boolean;
  /** Gives the outcome where the slot holds no text; one function for all tests of a slot. */
  readonly otherwise: (bag: Bag) => unknown;
}

/** An expression that was parsed, checked and made into a function. Immutable; shared by all requests. */
export interface Expression<T = unknown> {
  readonly source: string;
  readonly type: Type;
  /**
   * Computes the value for one request. `undefined` is absence (an attribute that was needed is not there), a `Fault`
   * is any other error; never throws. An expression of a scalar attribute type gives that type's {@link Value}.
   */
  evaluate(bag: Bag): T | undefined | Fault;
  /** Every attribute and constant map key that it may read. */
  readonly uses: readonly AttributeUse[];
  /**
   * For a boolean expression: the equality tests among the operands of its outermost `&&`. Whoever knows that one of
   * them is false (not absent, not a fault) need not evaluate the expression.
   */
  readonly equalities: readonly Equality[];
  /** Whether the expression says nothing but those tests: where all of them hold, it is true. */
  readonly equalitiesOnly: boolean;
  /**
   * Set when the expression is `has(...) && ...`: its first operand, one function for all expressions of a layout. Where
   * it gives false, so does the expression, having read the same.
   */
  readonly guard?: (bag: Bag) => boolean | undefined | Fault;
  /**
   * Set when the expression is such a test, perhaps behind `has()` of its slot: it gives what `evaluate` gives and reads
   * what that reads.
   */
  readonly textTest?: TextTest;
  /** Set when the expression is a constant: `"gold"`, `1`. */
  readonly constant?: { readonly value: T };
  /** Set when the expression is nothing but one slot: `request.path`, `request.headers["x"]`. */
  readonly slot?: number;
}

/** Why a text is no expression, with the place in the text. */
export interface ExpressionProblem {
  readonly phase: "parse" | "type";
  /** A stable code: `WEIR_EXPRESSION_SYNTAX`, `WEIR_EXPRESSION_TYPE`, `WEIR_EXPRESSION_UNKNOWN_ATTRIBUTE`, `WEIR_EXPRESSION_UNKNOWN_FUNCTION`, `WEIR_EXPRESSION_REPORT_ATTRIBUTE`, `WEIR_EXPRESSION_TOO_LARGE`, `WEIR_EXPRESSION_REGEX`. */
  readonly code: string;
  /** What was expected and what came, without place and without suggestion. */
  readonly message: string;
  readonly span: Span;
  /** The nearest known name, where one is near. */
  readonly suggestion?: string;
}
