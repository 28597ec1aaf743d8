import type { ProxyBucket } from "../../../runtime/quota/proxy-bucket.ts";
import { WeirError } from "../../../util/weir-error.ts";
import type { Call, Incoming, Outgoing } from "../../call.ts";
import { notPermitted } from "../../permit.ts";
import { asBuffer } from "../../protobuf/reader.ts";
import type { QuotaRoom, RoomBucket } from "./quota-room.ts";
import { readUsageReports, type UsageReport } from "./usage-reports.ts";

/** The most buckets of one stream. */
const maxBuckets = 2000;

/** A bucket of this stream. */
interface Subscription {
  readonly entries: NonNullable<UsageReport["entries"]>;
  /** The BucketId as it came. */
  readonly id: Uint8Array;
  readonly bucket: ProxyBucket;
  observed: RoomBucket["observed"];
}

/**
 * One proxy's stream of reports and assignments. A bucket's first report asks for its assignments; what is due is sent
 * when it is known and at the room's ticks. While the proxy does not read, nothing is sent: what it was assigned runs
 * out.
 */
export class QuotaStream implements Incoming {
  readonly #out: Outgoing;
  readonly #call: Call;
  readonly #room: QuotaRoom;
  readonly #buckets = new Map<string, Subscription>();
  #domain = "";
  #isSlow = false;
  /** What was sent that the proxy has not read yet. Nothing more is sent before it has. */
  #unread: readonly ProxyBucket[] = [];
  #isMarked = false;
  #isOver = false;

  constructor(out: Outgoing, call: Call, room: QuotaRoom) {
    this.#out = out;
    this.#call = call;
    this.#room = room;
    room.join(this);
  }

  message(message: Uint8Array): void {
    if (this.#isOver) return;
    const { domain, reports, unread } = readUsageReports(this.#room.reader.reset(asBuffer(message)));
    this.#speakFor(domain);
    if (unread > 0) this.#room.observer.dropped("quota_bucket", "full", unread);
    const fresh: Subscription[] = [];
    for (const report of reports) {
      const subscription = this.#subscription(report, fresh);
      if (subscription === undefined) continue;
      this.#room.apportioner.report(subscription.bucket, report);
      for (const observed of subscription.observed) observed.report(report);
    }
    if (fresh.length > 0) this.#send(fresh);
  }

  end(): void {
    this.#leave();
    this.#out.end();
  }

  drained(): void {
    this.#isSlow = false;
    this.flush();
  }

  gone(): void {
    this.#leave();
  }

  /** Sends what is due. */
  flush(): void {
    for (const { observed } of this.#buckets.values()) for (const each of observed) each.follow();
    this.#send(this.#buckets.values());
  }

  /** Other policies serve: the limits of buckets are looked up anew. */
  rebase(): void {
    for (const subscription of this.#buckets.values())
      subscription.observed = this.#room.rebase(subscription, this.#domain, subscription.entries, this.#call);
  }

  /** The first message says the domain; others may say it again. */
  #speakFor(domain: string): void {
    if (domain === "" || domain === this.#domain) {
      if (this.#domain === "") throw new WeirError("WEIR_REQUEST_DESCRIPTORS", "the first report must name a domain");
      return;
    }
    if (this.#domain !== "")
      throw new WeirError("WEIR_REQUEST_DESCRIPTORS", "a stream has one domain: for another one open another stream");
    const { client } = this.#call;
    if (client?.maySpeakFor(domain) === false)
      throw notPermitted(client, this.#room.name, this.#room.observer, "domain", domain);
    this.#domain = domain;
  }

  #subscription({ entries, id }: UsageReport, fresh: Subscription[]): Subscription | undefined {
    const { observer } = this.#room;
    if (entries === undefined) {
      observer.dropped("quota_bucket", "id", 1);
      return undefined;
    }
    const key = JSON.stringify(entries);
    const known = this.#buckets.get(key);
    if (known !== undefined) return known;
    if (this.#buckets.size >= maxBuckets) {
      observer.dropped("quota_bucket", "full", 1);
      return undefined;
    }
    const room = this.#room.subscribe(this.#domain, entries, this.#call);
    if (room === undefined) return undefined;
    // The message's memory is used again.
    const subscription: Subscription = { entries, id: Uint8Array.from(id), ...room };
    this.#buckets.set(key, subscription);
    fresh.push(subscription);
    return subscription;
  }

  #send(subscriptions: Iterable<Subscription>): void {
    if (this.#unread.length > 0 && !this.#isMarked) this.#mark();
    if (this.#isSlow || this.#isOver || this.#unread.length > 0) return;
    const { apportioner, answer } = this.#room;
    let count = 0;
    const sent: ProxyBucket[] = [];
    answer.begin();
    for (const subscription of subscriptions) {
      const { id, bucket, entries } = subscription;
      if (apportioner.isIdle(bucket)) {
        answer.add(id, { kind: "abandon" });
        this.#part(subscription);
        this.#buckets.delete(JSON.stringify(entries));
        count++;
        continue;
      }
      const assignment = apportioner.assign(bucket);
      if (assignment !== undefined) {
        answer.add(id, assignment);
        sent.push(bucket);
        count++;
      } else if (bucket.assignment === undefined) this.#room.soon(bucket);
    }
    if (count === 0) return;
    if (!this.#out.send(answer.finish())) this.#isSlow = true;
    this.#unread = sent;
    if (sent.length > 0) this.#mark();
  }

  /** Asks to be told when the proxy has read what was sent. */
  #mark(): void {
    this.#isMarked = this.#out.whenRead(() => {
      this.#isMarked = false;
      for (const bucket of this.#unread) this.#room.apportioner.heard(bucket);
      this.#unread = [];
      this.flush();
    });
  }

  #leave(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#room.leave(this);
    for (const subscription of this.#buckets.values()) this.#part(subscription);
    this.#buckets.clear();
  }

  #part({ bucket, observed }: Subscription): void {
    this.#room.apportioner.leave(bucket);
    for (const each of observed) each.leave();
  }
}
