import { Bag } from "../../../attributes/bag.ts";
import type { Layout } from "../../../attributes/layout.ts";
import type { Apportioner } from "../../../runtime/quota/apportioner.ts";
import type { ObservedBucket } from "../../../runtime/quota/observed-bucket.ts";
import type { Observer } from "../../../util/observer.ts";
import type { Timers } from "../../../util/timers.ts";
import type { ProxyBucket } from "../../../runtime/quota/proxy-bucket.ts";
import type { Call } from "../../call.ts";
import type { Client } from "../../client.ts";
import { notPermitted } from "../../permit.ts";
import { Reader } from "../../protobuf/reader.ts";
import { DescriptorTable } from "../ratelimit/descriptor-table.ts";
import { QuotaAnswer } from "./quota-answer.ts";
import type { QuotaStream } from "./quota-stream.ts";
import type { QuotaSession, RateLimitQuotaOptions } from "./rate-limit-quota-door.ts";
import type { UsageReport } from "./usage-reports.ts";

type Entries = NonNullable<UsageReport["entries"]>;

/** A bucket of a proxy, and what limits that observe would have of it. */
export interface RoomBucket {
  readonly bucket: ProxyBucket;
  readonly observed: readonly ObservedBucket[];
}

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
  #isHeldBackTold = false;

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

  /** Asks stores before the next tick, where a bucket waits for one. */
  soon(bucket: ProxyBucket): void {
    if (!this.apportioner.isAwaited(bucket)) return this.#tellHeldBack(bucket);
    if (this.#isSoon || this.#isTicking) return;
    this.#isSoon = true;
    this.#cancelTick?.();
    this.#cancelTick = this.#timers.after(soonMs, () => this.#tick());
  }

  /**
   * A bucket of a client, by the policies that serve; `undefined` where there is no room for it.
   *
   * @throws WeirError WEIR_NOT_PERMITTED for an entry that the client may not set
   */
  subscribe(domain: string, entries: Entries, call: Call): RoomBucket | undefined {
    const { apportioner } = this;
    const session = this.#options.open();
    const owner = ownerOf(call);
    try {
      // Said before the policies are asked, which costs more.
      if (!apportioner.hasRoom(owner, session.bounds)) return undefined;
      const bag = this.#bagOf(session, domain, entries, call.client);
      const bucket = apportioner.subscribe(session.limitsOf(bag), owner);
      return { bucket, observed: this.#observe(session, bag, owner) };
    } finally {
      session.end();
    }
  }

  /** Looks up anew which limits hold for a bucket, by the policies that serve. Answers its parts in those that observe. */
  rebase({ bucket, observed }: RoomBucket, domain: string, entries: Entries, call: Call): RoomBucket["observed"] {
    for (const each of observed) each.leave();
    const session = this.#options.open();
    try {
      const bag = this.#bagOf(session, domain, entries, call.client);
      this.apportioner.rebase(bucket, session.limitsOf(bag));
      return this.#observe(session, bag, ownerOf(call));
    } catch {
      // The policies read now what this client may not set: that was counted and logged.
      this.apportioner.rebase(bucket, "refused");
      return [];
    } finally {
      session.end();
    }
  }

  #observe({ observedOf, bounds }: QuotaSession, bag: Bag, owner: string): RoomBucket["observed"] {
    if (observedOf === undefined) return [];
    return observedOf(bag).flatMap((limit) => this.apportioner.observe(limit, owner, bounds) ?? []);
  }

  /** What a bucket's id says, where policies read it. */
  #bagOf(session: QuotaSession, domain: string, entries: Entries, client: Client | undefined): Bag {
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
    return bag;
  }

  /** Says once why proxies get nothing at first. */
  #tellHeldBack(bucket: ProxyBucket): void {
    if (this.#isHeldBackTold || !this.apportioner.isHeldBack(bucket)) return;
    this.#isHeldBackTold = true;
    this.#options.log.info(
      { door: this.name },
      "assignments wait until none of those can be out that were made before this hub started",
    );
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

/** Who has a bucket: a client by its name, however many connections it has, else an address. */
function ownerOf({ client, peer }: Call): string {
  return client?.name ?? peer;
}
