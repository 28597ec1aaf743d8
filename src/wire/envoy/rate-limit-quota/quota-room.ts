import { Bag } from "../../../attributes/bag.ts";
import type { Layout } from "../../../attributes/layout.ts";
import type { Apportioner } from "../../../runtime/quota/apportioner.ts";
import type { BucketLimits } from "../../../runtime/quota/bucket-limits.ts";
import type { Observer } from "../../../util/observer.ts";
import type { Timers } from "../../../util/timers.ts";
import type { Client } from "../../client.ts";
import { notPermitted } from "../../permit.ts";
import { Reader } from "../../protobuf/reader.ts";
import { DescriptorTable } from "../ratelimit/descriptor-table.ts";
import { QuotaAnswer } from "./quota-answer.ts";
import type { QuotaStream } from "./quota-stream.ts";
import type { RateLimitQuotaOptions } from "./rate-limit-quota-door.ts";

/** How often it is looked whether assignments are to be changed or sent again. */
const tickMs = 500;

/** How soon a bucket whose count is asked for the first time is looked at again. */
const soonMs = 10;

/** What the streams of the door share. Its clock runs only while there are streams. */
export class QuotaRoom {
  readonly name: string;
  readonly observer: Observer;
  readonly apportioner: Apportioner;
  readonly reader = new Reader();
  readonly answer: QuotaAnswer;
  readonly #options: RateLimitQuotaOptions;
  readonly #timers: Timers;
  readonly #streams = new Set<QuotaStream>();
  #layout: Layout | undefined;
  #table: DescriptorTable | undefined;
  #bag: Bag | undefined;
  #cancelTick: (() => void) | undefined;
  #isTicking = false;
  #isSoon = false;

  constructor(name: string, options: RateLimitQuotaOptions) {
    const { apportioner, observer, timers } = options;
    this.name = name;
    this.observer = observer;
    this.apportioner = apportioner;
    this.answer = new QuotaAnswer(apportioner.ttlMs);
    this.#options = options;
    this.#timers = timers;
  }

  join(stream: QuotaStream): void {
    this.#streams.add(stream);
    this.#cancelTick ??= this.#timers.after(tickMs, () => this.#tick());
  }

  leave(stream: QuotaStream): void {
    this.#streams.delete(stream);
  }

  /** Asks stores before the next tick. */
  soon(): void {
    if (this.#isSoon || this.#isTicking) return;
    this.#isSoon = true;
    this.#cancelTick?.();
    this.#cancelTick = this.#timers.after(soonMs, () => this.#tick());
  }

  /**
   * The limits that hold for a bucket, by the policies that serve.
   *
   * @throws WeirError WEIR_NOT_PERMITTED for an entry that the client may not set
   */
  limitsOf(
    domain: string,
    entries: readonly (readonly [key: string, value: string])[],
    client: Client | undefined,
  ): BucketLimits {
    const session = this.#options.open();
    try {
      const { layout } = session;
      if (this.#layout !== layout) {
        this.#layout = layout;
        this.#table = new DescriptorTable(layout);
        this.#bag = new Bag(layout);
      }
      const bag = this.#bag!;
      const table = this.#table!;
      bag.clear();
      table.begin(bag, domain);
      for (const [key, value] of entries) {
        const known = table.find(key);
        if (known === undefined) continue;
        if (client !== undefined && known.target !== undefined && !client.maySet(known.target.name))
          throw notPermitted(client, this.name, this.observer, "attribute", known.target.name);
        table.put(bag, known, key, value);
      }
      return session.limitsOf(bag);
    } finally {
      session.end();
    }
  }

  #tick(): void {
    this.#cancelTick = undefined;
    this.#isSoon = false;
    this.#isTicking = true;
    if (!this.#isServed()) return;
    const asked = this.apportioner.round();
    if (asked === undefined) this.#flush();
    else {
      const flush = (): void => this.#flush();
      void asked.then(flush, flush);
    }
  }

  /** Sends what is due on all streams. */
  #flush(): void {
    this.#isTicking = false;
    for (const stream of this.#streams) stream.flush();
    if (this.#streams.size > 0) this.#cancelTick ??= this.#timers.after(tickMs, () => this.#tick());
  }

  /** Looks whether other policies serve, and tells streams so. `false` when none serve any more: the hub is stopping. */
  #isServed(): boolean {
    let layout: Layout;
    try {
      const session = this.#options.open();
      ({ layout } = session);
      session.end();
    } catch {
      return false;
    }
    if (this.#layout !== undefined && this.#layout !== layout) for (const stream of this.#streams) stream.rebase();
    return true;
  }
}
