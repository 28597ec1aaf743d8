import { doorSettings, type DoorSettings } from "../../../src/policy/schema/doors.ts";
import type { Call } from "../../../src/wire/call.ts";
import type { Client } from "../../../src/wire/client.ts";
import { createRateLimitDoor } from "../../../src/wire/envoy/ratelimit/rate-limit-door.ts";
import type { RateLimitDescriptor } from "../../../src/wire/gen/envoy/extensions/common/ratelimit/v3/ratelimit.ts";
import { RateLimitRequest, RateLimitResponse } from "../../../src/wire/gen/envoy/service/ratelimit/v3/rls.ts";
import { type World, world } from "../../runtime/world.ts";
import { recordingLog, recordingObserver } from "../grpc/harness.ts";

/** What a descriptor is asked of. */
interface About {
  readonly domain?: string;
  readonly hitsAddend?: number;
  readonly client?: Client | undefined;
}

/** The door before a hub with these policies. */
export async function doorTo(policies: string, settings: Partial<DoorSettings> = {}) {
  return doorBefore(await world(policies), settings);
}

/** The door before a hub. */
export function doorBefore({ runtime, clock, told }: World, settings: Partial<DoorSettings> = {}) {
  const observer = recordingObserver();
  const doors = { ...doorSettings(undefined), ...settings };
  let open = 0;
  const door = createRateLimitDoor({
    open() {
      open++;
      const serving = runtime.acquire();
      const { check, rateLimit, snapshot } = serving;
      const unused = (): never => {
        throw new Error("the door reports nothing");
      };
      return {
        layout: snapshot.layout,
        reportLayout: snapshot.reportLayout,
        vocabulary: snapshot.vocabulary,
        version: snapshot.version,
        doors,
        check,
        rateLimit,
        report: unused,
        hold: () => Promise.reject(new Error("nothing is held here")),
        commit: () => undefined,
        notTried: unused,
        end() {
          open--;
          serving.release();
        },
      };
    },
    observer,
    log: recordingLog(),
  });
  const [shouldRateLimit] = door.unary.values();
  const send = (message: Uint8Array, client?: Client): RateLimitResponse => {
    const call: Call = { peer: "10.0.0.9", signal: new AbortController().signal, header: () => undefined, client };
    // Messages of a transport are parts of larger memory.
    const memory = Buffer.concat([Buffer.from("before"), message, Buffer.from("behind")]);
    const answer = shouldRateLimit!(memory.subarray(6, 6 + message.length), call);
    if (answer instanceof Promise) throw new Error("expected an answer at once");
    return RateLimitResponse.decode(answer);
  };
  const ask = (
    descriptors: readonly RateLimitDescriptor[],
    { domain = "edge", hitsAddend = 0, client }: About = {},
  ): RateLimitResponse =>
    send(RateLimitRequest.encode({ domain, hitsAddend, descriptors: [...descriptors] }).finish(), client);
  const descriptors = door.caches!["descriptors"]!;
  return { send, ask, observer, descriptors, clock, told, runtime, sessions: () => open };
}
