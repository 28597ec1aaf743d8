import test from "ava";
import fc from "fast-check";
import { ResponseFlags } from "../../../../src/wire/gen/envoy/data/accesslog/v3/accesslog.ts";
import { flagTexts, readResponseFlags } from "../../../../src/wire/envoy/access-log/response-flags.ts";
import { Reader } from "../../../../src/wire/protobuf/reader.ts";
import { fuzzRuns } from "../../../fuzz-runs.ts";
import { varint } from "./entries.ts";

/** As Envoy's documentation of `%RESPONSE_FLAGS%` names them. */
const flags: Readonly<Record<Exclude<keyof ResponseFlags, "unauthorizedDetails">, string>> = {
  failedLocalHealthcheck: "LH",
  noHealthyUpstream: "UH",
  upstreamRequestTimeout: "UT",
  localReset: "LR",
  upstreamRemoteReset: "UR",
  upstreamConnectionFailure: "UF",
  upstreamConnectionTermination: "UC",
  upstreamOverflow: "UO",
  noRouteFound: "NR",
  delayInjected: "DI",
  faultInjected: "FI",
  rateLimited: "RL",
  rateLimitServiceError: "RLSE",
  downstreamConnectionTermination: "DC",
  upstreamRetryLimitExceeded: "URX",
  streamIdleTimeout: "SI",
  invalidEnvoyRequestHeaders: "IH",
  downstreamProtocolError: "DPE",
  upstreamMaxStreamDurationReached: "UMSDR",
  responseFromCacheFilter: "RFCF",
  noFilterConfigFound: "NFCF",
  durationTimeout: "DT",
  upstreamProtocolError: "UPE",
  noClusterFound: "NC",
  overloadManager: "OM",
  dnsResolutionFailure: "DF",
  downstreamRemoteReset: "DR",
};

const read = (bytes: Uint8Array): string => readResponseFlags(new Reader().reset(Buffer.from(bytes)));
const written = (part: Partial<ResponseFlags>): Uint8Array =>
  ResponseFlags.encode(ResponseFlags.fromPartial(part)).finish();

test("every flag has Envoy's short text", (t) => {
  for (const [name, text] of Object.entries(flags)) t.is(read(written({ [name]: true })), text);
  t.is(read(written({ unauthorizedDetails: { reason: 1 } })), "UAEX");
  t.is(flagTexts.length - 1, Object.keys(flags).length + 1);
});

test("no flag is a dash, also when it is written as false or is newer than the hub", (t) => {
  t.is(read(new Uint8Array()), "-");
  t.is(read(Buffer.of(0x08, 0x00)), "-");
  t.is(read(written({ unauthorizedDetails: { reason: 0 } })), "-");
  t.is(read(Buffer.concat([varint(200 << 3), varint(1)])), "-");
});

test("several flags are joined in the order of their numbers, however they are written", (t) => {
  const names = Object.keys(flags) as (keyof typeof flags)[];
  fc.assert(
    fc.property(fc.uniqueArray(fc.constantFrom(...names), { minLength: 1 }), (some) => {
      const bytes = Buffer.concat(some.map((name) => written({ [name]: true })));
      const expected = names.filter((name) => some.includes(name)).map((name) => flags[name]);
      t.is(read(bytes), expected.sort((a, b) => flagTexts.indexOf(a) - flagTexts.indexOf(b)).join(","));
    }),
    { numRuns: fuzzRuns(200) },
  );
});
