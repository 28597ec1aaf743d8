import type { Assignment } from "../../../runtime/quota/assignment.ts";
import { writeDuration } from "../../protobuf/duration.ts";
import { Writer } from "../../protobuf/writer.ts";

/** What becomes of a bucket: an assignment, or it is to be forgotten. */
export type BucketAction = Assignment | { readonly kind: "abandon" };

/** `RateLimitStrategy.BlanketRule`. */
const blanket = { allow: 0, deny: 1 } as const;

/** Writes envoy.service.rate_limit_quota.v3.RateLimitQuotaResponse messages. */
export class QuotaAnswer {
  readonly #writer = new Writer();
  readonly #ttlMs: number;

  constructor(ttlMs: number) {
    this.#ttlMs = ttlMs;
  }

  begin(): this {
    this.#writer.reset();
    return this;
  }

  /** @param id the BucketId as it came */
  add(id: Uint8Array, action: BucketAction): void {
    const writer = this.#writer;
    const start = writer.open(1);
    writer.bytes(1, id);
    if (action.kind === "abandon") writer.close(writer.open(3));
    else {
      const assignment = writer.open(2);
      // Envoy looks at whole seconds only, and takes none for a life that is over.
      writeDuration(writer, 2, this.#ttlMs);
      const strategy = writer.open(3);
      this.#strategy(action);
      writer.close(strategy);
      writer.close(assignment);
    }
    writer.close(start);
  }

  finish(): Uint8Array {
    return this.#writer.finish();
  }

  #strategy(assignment: Assignment): void {
    const writer = this.#writer;
    if (assignment.kind !== "tokens") {
      writer.int32(1, blanket[assignment.kind]);
      return;
    }
    // Envoy does not know `requests_per_time_unit` (1.36 and 1.40).
    const { maxTokens, tokensPerFill, fillSeconds } = assignment;
    const bucket = writer.open(3);
    writer.uint32(1, maxTokens);
    const perFill = writer.open(2);
    writer.uint32(1, tokensPerFill);
    writer.close(perFill);
    // Envoy counts whole seconds, and of two intervals it compares only the nanoseconds: these tell them apart.
    const interval = writer.open(3);
    writer.int64(1, fillSeconds);
    writer.int32(2, fillSeconds);
    writer.close(interval);
    writer.close(bucket);
  }
}
