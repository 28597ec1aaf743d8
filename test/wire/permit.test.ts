import test from "ava";
import { WeirError } from "../../src/util/weir-error.ts";
import type { Call } from "../../src/wire/call.ts";
import type { Client } from "../../src/wire/client.ts";
import { createAuthzDoor } from "../../src/wire/authz/authz-door.ts";
import { createHttpDoor } from "../../src/wire/http/http-door.ts";
import { CheckRequest, ReportRequest } from "../../src/wire/gen/istio/mixer/v1/mixer.ts";
import * as stream from "../../src/wire/gen/weir/v1/weir.ts";
import { globalWords } from "../../src/wire/mixer/dictionary.ts";
import { createMixerDoor } from "../../src/wire/mixer/mixer-door.ts";
import { createStreamDoor } from "../../src/wire/stream/stream-door.ts";
import { allowed, fakeHub } from "./grpc/fake-session.ts";
import { recordingLog, recordingObserver } from "./grpc/harness.ts";

/** A client that may set what belongs to the request. */
const client: Client = {
  name: "web",
  maySpeakFor: () => true,
  maySet: (attribute) => attribute.startsWith("request."),
  refused: () => undefined,
};

function callBy(by: Client | undefined): Call {
  return { peer: "10.0.0.1", signal: new AbortController().signal, header: () => undefined, client: by };
}

type Attributes = Readonly<Record<string, string>>;

/** What a door says to attributes: "OK", or a code. */
type Ask = (attributes: Attributes, by: Client | undefined) => Promise<string>;

/** Each way in which attributes come by name. */
function ways(): { ask: Record<string, Ask>; judged: () => number; observer: ReturnType<typeof recordingObserver> } {
  let judged = 0;
  const hub = fakeHub({
    check() {
      judged++;
      return allowed();
    },
    report() {
      judged++;
      return "taken";
    },
  });
  const observer = recordingObserver();
  const options = { open: hub.open, observer, log: recordingLog() };
  const mixer = createMixerDoor(options).unary;
  const streams = createStreamDoor(options).duplex;
  const routes = createHttpDoor(options).routes;

  const word = (name: string) => globalWords.indexOf(name);
  const compressed = (attributes: Attributes) => {
    const names = Object.keys(attributes);
    return {
      words: Object.values(attributes),
      strings: new Map(names.map((name, i) => [word(name), -i - 1])),
    };
  };
  const caught = async (act: () => unknown): Promise<string> => {
    try {
      await act();
      return "OK";
    } catch (error) {
      if (!(error instanceof WeirError)) throw error;
      return error.code;
    }
  };
  const exchange = (path: string, message: Uint8Array, by: Client | undefined): Uint8Array => {
    const sent: Uint8Array[] = [];
    const out = { send: (bytes: Uint8Array) => sent.push(bytes) > 0, whenRead: () => false, end: () => undefined };
    const incoming = streams.get(path)!(out, callBy(by));
    incoming.message(message);
    incoming.gone();
    return sent[0]!;
  };
  const streamed = (attributes: Attributes) => ({
    index: 1n,
    dictionary: { first: 0, words: Object.values(attributes) },
    attributes: { strings: new Map(Object.keys(attributes).map((name, i) => [word(name), -i - 1])) },
  });
  const http = (path: string, body: object, by: Client | undefined) =>
    routes
      .find((route) => route.path === path)!
      .handle({
        method: "POST",
        path,
        query: "",
        rawHeaders: [],
        body: Buffer.from(JSON.stringify(body)),
        call: callBy(by),
      });

  const ask: Record<string, Ask> = {
    "Mixer Check": (attributes, by) =>
      caught(() =>
        mixer.get("/istio.mixer.v1.Mixer/Check")!(
          CheckRequest.encode(
            CheckRequest.fromPartial({
              attributes: compressed(attributes),
              globalWordCount: globalWords.length,
            } as object),
          ).finish(),
          callBy(by),
        ),
      ),
    "Mixer Report": (attributes, by) =>
      caught(() =>
        mixer.get("/istio.mixer.v1.Mixer/Report")!(
          ReportRequest.encode(
            ReportRequest.fromPartial({
              attributes: [compressed(attributes)],
              globalWordCount: globalWords.length,
            } as object),
          ).finish(),
          callBy(by),
        ),
      ),
    async "stream Check"(attributes, by) {
      const message = stream.CheckRequest.encode(
        stream.CheckRequest.fromPartial(streamed(attributes) as object),
      ).finish();
      const { error } = stream.CheckResponse.decode(exchange("/weir.v1.Weir/Check", message, by));
      return error?.code ?? "OK";
    },
    async "stream Report"(attributes, by) {
      const { attributes: record, ...rest } = streamed(attributes);
      const message = stream.ReportRequest.encode(
        stream.ReportRequest.fromPartial({ ...rest, records: [record] } as object),
      ).finish();
      const { taken, errors } = stream.ReportResponse.decode(exchange("/weir.v1.Weir/Report", message, by));
      return taken === 1 ? "OK" : errors[0]!.error!.code;
    },
    "HTTP check": (attributes, by) => caught(() => http("/v1/check", { attributes }, by)),
    async "HTTP report"(attributes, by) {
      const { json } = await http("/v1/report", { reports: [attributes] }, by);
      const { taken, errors } = json as { taken: number; errors: { code: string }[] };
      return taken === 1 ? "OK" : errors[0]!.code;
    },
  };
  return { ask, judged: () => judged, observer };
}

for (const way of Object.keys(ways().ask)) {
  test(`${way}: a client sets the attributes that it speaks for and no others`, async (t) => {
    const { ask, judged, observer } = ways();
    t.is(await ask[way]!({ "request.path": "/x" }, client), "OK");
    t.is(judged(), 1);
    t.is(await ask[way]!({ "request.path": "/x", "source.namespace": "admin" }, client), "WEIR_NOT_PERMITTED");
    t.is(judged(), 1, "what was refused is not judged, with or without the attribute");
    t.true(observer.drops.some((drop) => /^caller (mixer|stream|http) attribute$/.test(drop)));
  });

  test(`${way}: a listener that names no clients takes every attribute`, async (t) => {
    const { ask, judged } = ways();
    t.is(await ask[way]!({ "request.path": "/x", "source.namespace": "admin" }, undefined), "OK");
    t.is(judged(), 1);
  });

  test(`${way}: an attribute that no rule reads does not matter`, async (t) => {
    const { ask } = ways();
    t.is(await ask[way]!({ "source.workload.name": "web" }, client), "OK");
  });
}

test("authz: a proxy's address sets the attributes that its client speaks for and no others, whether a rule reads them or not", async (t) => {
  let judged = 0;
  const hub = fakeHub({
    check() {
      judged++;
      return allowed();
    },
  });
  const observer = recordingObserver();
  const door = createAuthzDoor({ open: hub.open, observer, log: recordingLog(), now: () => 0 });
  const rawHeaders = ["x-forwarded-method", "GET", "x-forwarded-uri", "/x", "x-forwarded-for", "203.0.113.7"];
  const ask = async (query: string, by: Client | undefined) => {
    const route = door.routes.find(({ path }) => path === "/v1/authz")!;
    const call = { ...callBy(by), peer: "127.0.0.1" };
    const asked = { method: "GET", path: "/v1/authz", query, rawHeaders, body: Buffer.alloc(0), call };
    return Promise.resolve()
      .then(() => route.handle(asked))
      .then(
        ({ status }) => status,
        (error: WeirError) => error.code,
      );
  };
  t.is(await ask("request.scheme=https", client), 200);
  for (const attribute of ["source.namespace", "source.workload.name"])
    t.is(await ask(`request.scheme=https&${attribute}=admin`, client), "WEIR_NOT_PERMITTED", attribute);
  t.is(judged, 1);
  t.deepEqual(observer.drops, ["caller authz attribute", "caller authz attribute"]);
  t.is(await ask("source.namespace=admin", undefined), 200);
  t.is(hub.live, 0);
});

test("a key of a map is as its map", async (t) => {
  const { ask } = ways();
  const closed: Client = { ...client, maySet: (attribute) => attribute !== "request.headers" };
  const headers = { "request.headers": { "x-key": "1" } as unknown as string };
  t.is(await ask["HTTP check"]!(headers, closed), "WEIR_NOT_PERMITTED");
  t.is(await ask["HTTP check"]!(headers, client), "OK");
});
