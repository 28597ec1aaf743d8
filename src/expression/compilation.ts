import type { Vocabulary } from "../attributes/vocabulary.ts";
import type { Dynamic } from "./dynamic.ts";
import type { AttributeUse, Environment, ExpressionProblem } from "./expression.ts";
import { Fault } from "../attributes/fault.ts";
import type { Meter } from "./meter.ts";
import type { Node } from "./node.ts";
import type { Part } from "./part.ts";
import type { PatternCache } from "./pattern.ts";
import type { Shared } from "./shared.ts";
import type { Type } from "./type.ts";
import { types } from "./typing.ts";

/** A value that is no attribute: what the specification's own tests bind. Policies have none. */
export interface Variable {
  readonly type: Type;
  /** The value, held as its type holds it. */
  readonly value: unknown;
}

/** Message types that the environment brings along. Policies have only the well-known ones. */
export interface MessageTypes {
  /** Whether there is a message type of this full name. */
  has(name: string): boolean;
  /** The value of an enum constant by its full name. */
  enumValue(name: string): number | undefined;
  /** The type of a field, or `undefined` when the type has no such field. */
  fieldType(name: string, field: string): Type | undefined;
  /** The type that a literal has: wrappers become what they wrap. */
  literalType(name: string): Type;
  /** The value of a literal. */
  create(name: string, fields: readonly (readonly [string, Dynamic])[]): Dynamic | Fault;
}

/** What the specification's tests need beyond what policies have. */
export interface Extras {
  readonly variables?: ReadonlyMap<string, Variable>;
  readonly messages?: MessageTypes;
  /** The namespace in which names are looked up first, as protobuf does it. */
  readonly container?: string;
  /** Whether what the checker finds is left to the evaluation, as in CEL without a checker. */
  readonly unchecked?: boolean;
}

/** A variable of a macro. Its cell holds the element while the macro's body is evaluated. */
export interface Local {
  readonly name: string;
  readonly type: Type;
  readonly cell: { value: Dynamic | undefined };
}

/** All that is shared while one expression is compiled. */
export class Compilation {
  readonly environment: Environment;
  readonly extras: Extras;
  readonly shared: Shared;
  readonly patterns: PatternCache;
  readonly problems: ExpressionProblem[] = [];
  readonly #meter: Meter;
  #metered = false;
  readonly #compile: (c: Compilation, node: Node) => Part;
  readonly #uses = new Map<string, { name: string; key?: string; guarded: boolean }>();
  #locals: readonly Local[] = [];
  #guards: ReadonlySet<string> = new Set();

  constructor(options: {
    environment: Environment;
    extras: Extras;
    meter: Meter;
    shared: Shared;
    compile: (c: Compilation, node: Node) => Part;
  }) {
    this.environment = options.environment;
    this.extras = options.extras;
    this.#meter = options.meter;
    this.shared = options.shared;
    this.patterns = options.shared.patterns;
    this.#compile = options.compile;
  }

  get vocabulary(): Vocabulary {
    return this.environment.vocabulary;
  }

  /** For what takes steps. Whoever takes it makes the expression one whose steps are counted. */
  get meter(): Meter {
    this.#metered = true;
    return this.#meter;
  }

  get isMetered(): boolean {
    return this.#metered;
  }

  /** Compiles a node of the tree in the scope of now. */
  part(node: Node): Part {
    return this.#compile(this, node);
  }

  /** Notes a problem and gives a part that stands in for what is wrong, so that the rest can be checked too. */
  problem(
    at: { readonly offset: number; readonly length: number },
    message: string,
    more?: { readonly code?: string; readonly suggestion?: string | undefined },
  ): Part {
    const fault = new Fault(message);
    const code = more?.code ?? "WEIR_EXPRESSION_TYPE";
    const suggestion = more?.suggestion;
    if (this.extras.unchecked !== true) {
      const span = { offset: at.offset, length: at.length };
      this.problems.push({
        phase: "type",
        code,
        message,
        span,
        ...(suggestion === undefined ? undefined : { suggestion }),
      });
    }
    return { type: types.dyn, run: () => fault };
  }

  /** Whether a macro's body is being compiled, which may be evaluated many times. */
  get inLoop(): boolean {
    return this.#locals.length > 0;
  }

  local(name: string): Local | undefined {
    return this.#locals.findLast((local) => local.name === name);
  }

  /** Compiles `node` where `local` is visible. */
  within(local: Local, node: Node): Part {
    const outer = this.#locals;
    this.#locals = [...outer, local];
    const part = this.part(node);
    this.#locals = outer;
    return part;
  }

  /** Compiles `node` where the attributes of these keys are known to be present. */
  guarded(keys: readonly string[], node: Node): Part {
    if (keys.length === 0) return this.part(node);
    const outer = this.#guards;
    this.#guards = new Set([...outer, ...keys]);
    const part = this.part(node);
    this.#guards = outer;
    return part;
  }

  isGuarded(name: string, key?: string): boolean {
    return this.#guards.has(useKey(name, key));
  }

  /** Notes that an attribute is read. `safe`: its absence is an answer here (`has`, optionals), not the lack of one. */
  use(name: string, key: string | undefined, safe: boolean): void {
    const id = useKey(name, key);
    const guarded = safe || this.#guards.has(id);
    const known = this.#uses.get(id);
    if (known !== undefined) known.guarded &&= guarded;
    else this.#uses.set(id, key === undefined ? { name, guarded } : { name, key, guarded });
  }

  get uses(): readonly AttributeUse[] {
    return [...this.#uses.values()];
  }
}

/** One text for an attribute or a key of one. A line feed is in no attribute's name. */
export function useKey(name: string, key?: string): string {
  return key === undefined ? name : `${name}\n${key}`;
}
