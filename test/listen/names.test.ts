import test from "ava";
import { pages } from "../../src/console/pages.ts";
import { doorNames, openPages } from "../../src/policy/schema/listen.ts";
import { Apportioner } from "../../src/runtime/quota/apportioner.ts";
import { createAuthzDoor } from "../../src/wire/authz/authz-door.ts";
import { createAccessLogDoor } from "../../src/wire/envoy/access-log/access-log-door.ts";
import { createExtAuthzDoor } from "../../src/wire/envoy/ext-authz/ext-authz-door.ts";
import { createRateLimitQuotaDoor } from "../../src/wire/envoy/rate-limit-quota/rate-limit-quota-door.ts";
import { createRateLimitDoor } from "../../src/wire/envoy/ratelimit/rate-limit-door.ts";
import { createHealth } from "../../src/wire/health.ts";
import { createHttpDoor } from "../../src/wire/http/http-door.ts";
import { createMixerDoor } from "../../src/wire/mixer/mixer-door.ts";
import { createReflection } from "../../src/wire/reflection.ts";
import { createStreamDoor } from "../../src/wire/stream/stream-door.ts";
import { fakeHub } from "../wire/grpc/fake-session.ts";
import { recordingLog, recordingObserver } from "../wire/grpc/harness.ts";

const options = {
  open: fakeHub({}).open,
  observer: recordingObserver(),
  log: recordingLog(),
  now: () => 0,
  timers: { after: () => () => undefined },
};

const notAsked = (): never => {
  throw new Error("nobody asks");
};
const apportioner = new Apportioner({
  member: "hub",
  now: () => 0,
  observer: options.observer,
  stores: { isShared: notAsked, apportion: notAsked },
  ttlMs: 10_000,
});

test("clients are granted the doors that there are, by the names that the doors have", (t) => {
  const grpc = [
    createMixerDoor(options),
    createStreamDoor(options),
    createExtAuthzDoor(options),
    createRateLimitDoor(options),
    createRateLimitQuotaDoor({ ...options, open: () => notAsked(), apportioner }),
    createAccessLogDoor(options),
    createHealth([]).door,
    ...createReflection([]),
  ];
  t.deepEqual(new Set(grpc.map(({ name }) => name)), new Set<string>(doorNames.grpc));
  const http = [createHttpDoor(options), createAuthzDoor(options)];
  t.deepEqual(new Set(http.map(({ name }) => name)), new Set<string>(doorNames.http));
});

test("the pages that may be open are those that there are", (t) => {
  t.deepEqual([...openPages], [...pages.keys()]);
});
