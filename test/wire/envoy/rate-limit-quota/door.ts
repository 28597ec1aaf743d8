import { Apportioner } from "../../../../src/runtime/quota/apportioner.ts";
import { doorSettings } from "../../../../src/policy/schema/doors.ts";
import type { BucketBounds } from "../../../../src/runtime/quota/bucket-places.ts";
import type { Call, Incoming } from "../../../../src/wire/call.ts";
import type { Client } from "../../../../src/wire/client.ts";
import { createRateLimitQuotaDoor } from "../../../../src/wire/envoy/rate-limit-quota/rate-limit-quota-door.ts";
import {
  RateLimitQuotaResponse,
  RateLimitQuotaUsageReports,
} from "../../../../src/wire/gen/envoy/service/rate_limit_quota/v3/rlqs.ts";
import type { Adapter } from "../../../../src/sdk/index.ts";
import { compiled, world } from "../../../runtime/world.ts";
import { recordingLog, recordingObserver } from "../../grpc/harness.ts";

/** What a test says of a report. */
export interface Usage {
  readonly id: Readonly<Record<string, string>>;
  readonly allowed?: number;
  readonly denied?: number;
}

/** A proxy's side of a stream. */
export interface QuotaClient {
  readonly incoming: Incoming;
  /** What came since it was last asked. */
  take(): string[];
  report(usages: readonly Usage[], domain?: string): void;
  /** Sends bytes as a message. */
  send(message: Uint8Array): void;
  /** Whether the proxy reads what is sent. */
  reads: boolean;
  /** Whether the transport says to hold back. */
  slow: boolean;
  /** Says that what was sent is read now. */
  read(): void;
  ended: number;
}

/** `deny`, `allow`, `abandon`, or `burst+tokens/seconds`; after what the bucket is. */
export function shown(answer: RateLimitQuotaResponse): string[] {
  return answer.bucketAction.map(({ bucketId, quotaAssignmentAction, abandonAction }) => {
    const name = [...bucketId!.bucket]
      .map(([key, value]) => `${key}=${value}`)
      .sort()
      .join(",");
    if (abandonAction !== undefined) return `${name} abandon`;
    const { rateLimitStrategy: strategy, assignmentTimeToLive: ttl } = quotaAssignmentAction!;
    if (Number(ttl!.seconds) !== 10 || ttl!.nanos !== 0) return `${name} with a time to live of ${ttl!.seconds}`;
    if (strategy!.blanketRule !== undefined) return `${name} ${strategy!.blanketRule === 1 ? "deny" : "allow"}`;
    const { maxTokens, tokensPerFill, fillInterval } = strategy!.tokenBucket!;
    return `${name} ${maxTokens}+${tokensPerFill}/${fillInterval!.seconds}s`;
  });
}

/** The door before a hub with these policies. */
export async function doorTo(
  policies: string,
  adapters: readonly Adapter[] = [],
  { bounds = {}, ...rest }: { bounds?: Partial<BucketBounds>; holdsBack?: boolean; maxCounts?: number } = {},
) {
  const { runtime, clock } = await world(policies, adapters);
  const observer = recordingObserver();
  let open = 0;
  const { quotas } = runtime.acquire();
  const shared = { member: "hub", now: clock.now, observer, stores: quotas, ttlMs: 10_000 };
  const apportioner = new Apportioner({ ...shared, ...rest });
  const log = recordingLog();
  const door = createRateLimitQuotaDoor({
    open() {
      open++;
      const serving = runtime.acquire();
      return {
        layout: serving.snapshot.layout,
        bounds: { ...doorSettings(undefined).ratelimitQuota, ...bounds },
        limitsOf: serving.quotas.limitsOf,
        observedOf: serving.quotas.observedOf,
        end() {
          open--;
          serving.release();
        },
      };
    },
    apportioner,
    observer,
    log,
    timers: clock,
  });
  const [method] = door.duplex.values();

  function connect(client?: Client, peer = "10.0.0.9"): QuotaClient {
    const came: string[] = [];
    let mark: (() => void) | undefined;
    const call: Call = { peer, signal: new AbortController().signal, header: () => undefined, client };
    const proxy = {
      reads: true,
      slow: false,
      ended: 0,
      take: () => came.splice(0),
      report(usages: readonly Usage[], domain = "edge") {
        const bucketQuotaUsages = usages.map(({ id, allowed = 0, denied = 0 }) => ({
          bucketId: { bucket: new Map(Object.entries(id)) },
          timeElapsed: { seconds: 0n, nanos: 0 },
          numRequestsAllowed: BigInt(allowed),
          numRequestsDenied: BigInt(denied),
        }));
        proxy.send(RateLimitQuotaUsageReports.encode({ domain, bucketQuotaUsages }).finish());
      },
      send(message: Uint8Array) {
        // Messages of a transport are parts of larger memory, which is used again.
        const memory = Buffer.concat([Buffer.from("before"), message, Buffer.from("behind")]);
        void proxy.incoming.message(memory.subarray(6, 6 + message.length));
        memory.fill(0xff);
      },
      read() {
        const told = mark;
        mark = undefined;
        told?.();
      },
    } as Omit<QuotaClient, "incoming"> & { incoming: Incoming };
    const out = {
      send(bytes: Uint8Array) {
        came.push(...shown(RateLimitQuotaResponse.decode(bytes)));
        return !proxy.slow;
      },
      whenRead(told: () => void) {
        if (proxy.slow) return false;
        mark = told;
        if (proxy.reads) queueMicrotask(() => proxy.read());
        return true;
      },
      end: () => void proxy.ended++,
    };
    proxy.incoming = method!(out, call);
    return proxy;
  }
  return {
    connect,
    clock,
    observer,
    log,
    apportioner,
    sessions: () => open,
    reload: async (text: string) => runtime.activate(await compiled(text, adapters)),
  };
}
