/** How many buckets there may be. */
export interface BucketBounds {
  /** Of all proxies. */
  readonly buckets: number;
  /** Of one client. */
  readonly perClient: number;
}

/** What one client has. */
interface Holding {
  buckets: number;
  /** Limits of its buckets, of which each may be a count of its own. */
  limits: number;
}

const nothing: Holding = { buckets: 0, limits: 0 };

/** The buckets that there are, and how much each client has of them: none may take the room of all others. */
export class BucketPlaces<T extends { readonly client: string }> {
  readonly #buckets = new Map<T, number>();
  readonly #byClient = new Map<string, Holding>();
  readonly #maxLimits: number;

  /** @param maxLimits how many limits all buckets may have together */
  constructor(maxLimits: number) {
    this.#maxLimits = maxLimits;
  }

  get size(): number {
    return this.#buckets.size;
  }

  [Symbol.iterator](): Iterator<T> {
    return this.#buckets.keys();
  }

  /** Why a client may have no more: there is no room (`full`), or it has its part (`client`). `undefined`: it may. */
  refusal(client: string, { buckets, perClient }: BucketBounds): "full" | "client" | undefined {
    if (this.#buckets.size >= buckets) return "full";
    const has = this.#byClient.get(client) ?? nothing;
    const part = Math.min(1, perClient / buckets);
    return has.buckets >= perClient || has.limits >= this.#maxLimits * part ? "client" : undefined;
  }

  add(bucket: T, limits: number): void {
    const { client } = bucket;
    this.#buckets.set(bucket, limits);
    let has = this.#byClient.get(client);
    if (has === undefined) this.#byClient.set(client, (has = { ...nothing }));
    has.buckets++;
    has.limits += limits;
  }

  delete(bucket: T): void {
    const limits = this.#buckets.get(bucket);
    if (limits === undefined) return;
    this.#buckets.delete(bucket);
    const { client } = bucket;
    const has = this.#byClient.get(client)!;
    has.buckets--;
    has.limits -= limits;
    if (has.buckets === 0) this.#byClient.delete(client);
  }
}
