import type { Bag } from "../../attributes/bag.ts";
import { Duration } from "../../attributes/duration.ts";
import { Ip } from "../../attributes/ip.ts";
import type { Layout } from "../../attributes/layout.ts";
import { Timestamp } from "../../attributes/timestamp.ts";
import { spanFacts, type SpanFact } from "../../policy/span-facts.ts";

/** Looks at the attributes that a span is made of. What is absent, or came with a wrong type, is `undefined`. */
export class RequestFacts {
  readonly #slots: Readonly<Record<SpanFact, number>>;
  #bag!: Bag;

  constructor(layout: Layout) {
    this.#slots = Object.fromEntries(spanFacts.map((name) => [name, layout.find(name)!])) as Record<SpanFact, number>;
  }

  /** Whose attributes are looked at from now on. */
  of(bag: Bag): this {
    this.#bag = bag;
    return this;
  }

  /** A text that is not empty. */
  text(name: SpanFact): string | undefined {
    const value = this.#bag.peek(this.#slots[name]);
    return typeof value === "string" && value !== "" ? value : undefined;
  }

  number(name: SpanFact): number | undefined {
    const value = this.#bag.peek(this.#slots[name]);
    return typeof value === "number" ? value : undefined;
  }

  is(name: SpanFact, wanted: boolean | string): boolean {
    return this.#bag.peek(this.#slots[name]) === wanted;
  }

  ip(name: SpanFact): string | undefined {
    const value = this.#bag.peek(this.#slots[name]);
    return value instanceof Ip ? value.toString() : undefined;
  }

  /** Milliseconds since 1970, with a fraction. */
  timeMs(name: SpanFact): number | undefined {
    const value = this.#bag.peek(this.#slots[name]);
    return value instanceof Timestamp ? value.ms : undefined;
  }

  /** Milliseconds, with a fraction; a negative duration is none. */
  durationMs(name: SpanFact): number | undefined {
    const value = this.#bag.peek(this.#slots[name]);
    return value instanceof Duration && value.ms >= 0 ? value.ms : undefined;
  }
}
