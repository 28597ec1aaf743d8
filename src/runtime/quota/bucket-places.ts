/** How many buckets there may be. */
export interface BucketBounds {
  /** Of all proxies. */
  readonly buckets: number;
  /** Of one client. */
  readonly perClient: number;
}

/** The buckets that there are, and how many each client has: none may take the room of all others. */
export class BucketPlaces<T extends { readonly client: string }> {
  readonly #buckets = new Set<T>();
  readonly #byClient = new Map<string, number>();

  get size(): number {
    return this.#buckets.size;
  }

  [Symbol.iterator](): Iterator<T> {
    return this.#buckets[Symbol.iterator]();
  }

  /** Why a client may have no more: there is no room (`full`), or it has its part (`client`). `undefined`: it may. */
  refusal(client: string, { buckets, perClient }: BucketBounds): "full" | "client" | undefined {
    if (this.#buckets.size >= buckets) return "full";
    return (this.#byClient.get(client) ?? 0) >= perClient ? "client" : undefined;
  }

  add(bucket: T): void {
    const { client } = bucket;
    this.#buckets.add(bucket);
    this.#byClient.set(client, (this.#byClient.get(client) ?? 0) + 1);
  }

  delete(bucket: T): void {
    if (!this.#buckets.delete(bucket)) return;
    const { client } = bucket;
    const left = this.#byClient.get(client)! - 1;
    if (left > 0) this.#byClient.set(client, left);
    else this.#byClient.delete(client);
  }
}
