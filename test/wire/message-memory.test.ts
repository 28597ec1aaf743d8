import test from "ava";
import type { Decision } from "../../src/runtime/decision.ts";
import type { Call, DoorOptions } from "../../src/wire/call.ts";
import { createExtAuthzDoor } from "../../src/wire/envoy/ext-authz/ext-authz-door.ts";
import { CheckRequest as AuthzRequest } from "../../src/wire/gen/envoy/service/auth/v3/external_auth.ts";
import { CheckRequest } from "../../src/wire/gen/istio/mixer/v1/mixer.ts";
import { CheckRequest as StreamRequest } from "../../src/wire/gen/weir/v1/weir.ts";
import { globalWords } from "../../src/wire/mixer/dictionary.ts";
import { createMixerDoor } from "../../src/wire/mixer/mixer-door.ts";
import { createStreamDoor } from "../../src/wire/stream/stream-door.ts";
import { allowed, contents, fakeHub } from "./grpc/fake-session.ts";
import { recordingLog, recordingObserver } from "./grpc/harness.ts";
import { compress } from "./mixer/compress.ts";

const call: Call = { peer: "10.1.2.3", signal: new AbortController().signal, header: () => undefined };

type Ask = (options: DoorOptions, message: Buffer) => Promise<Uint8Array>;

const sent = {
  "request.path": { string: "/orders?id=1" },
  "source.ip": { bytes: [10, 1, 2, 3] },
  "request.headers": { map: { "x-key": "a key of its own", "x-there": "1" } },
  "destination.labels": { map: { app: "ratings" } },
} as const;

const streamWords: string[] = [];
const streamed = compress(sent, streamWords);

/** By door: a request, and how it is asked. */
const doors: Record<string, readonly [message: Uint8Array, ask: Ask]> = {
  Mixer: [
    CheckRequest.encode(
      CheckRequest.fromPartial({ attributes: compress(sent), globalWordCount: globalWords.length } as object),
    ).finish(),
    async (options, message) =>
      createMixerDoor(options).unary.get("/istio.mixer.v1.Mixer/Check")!(message, call) as Promise<Uint8Array>,
  ],
  ext_authz: [
    AuthzRequest.encode(
      AuthzRequest.fromPartial({
        attributes: {
          source: { address: { socketAddress: { address: "10.1.2.3" } } },
          request: { http: { path: "/orders?id=1", headers: new Map([["x-there", "1"]]) } },
        },
      } as object),
    ).finish(),
    async (options, message) =>
      createExtAuthzDoor(options).unary.get("/envoy.service.auth.v3.Authorization/Check")!(message, call),
  ],
  stream: [
    StreamRequest.encode(
      StreamRequest.fromPartial({
        index: 1n,
        dictionary: { first: 0, words: streamWords },
        attributes: { ...streamed, words: undefined },
      } as object),
    ).finish(),
    (options, message) =>
      new Promise((resolve) => {
        const out = {
          send: (bytes: Uint8Array) => (resolve(bytes), true),
          whenRead: () => false,
          end: () => undefined,
        };
        void createStreamDoor(options).duplex.get("/weir.v1.Weir/Check")!(out, call).message(message);
      }),
  ],
};

const decision: Partial<Decision> = {
  requestHeaders: [
    { operation: "append", name: "x-there", value: "2" },
    { operation: "append", name: "x-new", value: "3" },
  ],
};

for (const [name, [bytes, ask]] of Object.entries(doors)) {
  test(`${name}: a check that is judged later does not look at its message again, which is written over by then`, async (t) => {
    const outcome = async (isLater: boolean) => {
      const message = Buffer.from(bytes);
      let seen: unknown;
      const hub = fakeHub({
        async check(bag) {
          if (isLater) await new Promise(setImmediate);
          seen = contents(bag);
          return allowed(decision);
        },
      });
      const options = { open: hub.open, observer: recordingObserver(), log: recordingLog() };
      const answer = ask(options, message);
      if (isLater) message.fill(0xee);
      return { answer: Buffer.from(await answer).toString("base64"), seen };
    };
    const later = await outcome(true);
    t.deepEqual(later, await outcome(false));
    t.regex(JSON.stringify(later.seen), /orders/);
  });
}
