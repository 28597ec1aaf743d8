import test from "ava";
import { Bag } from "../../src/attributes/bag.ts";
import { RequestDecoder } from "../../src/wire/envoy/ext-authz/request-decoder.ts";
import { CheckRequest } from "../../src/wire/gen/envoy/service/auth/v3/external_auth.ts";
import { serveAuthz } from "./authz/ask.ts";
import { open } from "./envoy/access-log/door.ts";
import { httpEntry, message } from "./envoy/access-log/entries.ts";
import { allowed, contents, layoutOf } from "./grpc/fake-session.ts";

const read = "context.protocol";

const types: readonly (readonly [contentType: string, protocol: string])[] = [
  ["application/grpc", "grpc"],
  ["application/grpc+json", "grpc"],
  ["Application/GRPC; charset=utf-8", "grpc"],
  ["application/grpc ;v=1", "grpc"],
  ["application/grpc-web", "http"],
  ["application/grpc-web+proto", "http"],
  ["application/json", "http"],
];
for (const [contentType, protocol] of types) {
  test(`a request of the content type ${contentType} is ${protocol} at every door of a proxy`, async (t) => {
    const headers = new Map([["content-type", contentType]]);
    const { incoming, records } = open([read]);
    incoming.message(message({ http: [httpEntry({ request: { requestHeaders: headers } })] }));
    t.deepEqual(records, [{ [read]: protocol }], "access log");

    const bag = new Bag(layoutOf([read]));
    const attributes = { request: { http: { headers } } };
    const bytes = CheckRequest.encode(CheckRequest.fromPartial({ attributes })).finish();
    new RequestDecoder().fill(bag, Buffer.from(bytes), 0);
    t.deepEqual(contents(bag), { [read]: protocol }, "ext_authz");

    let told: Record<string, unknown> = {};
    const { ask } = await serveAuthz(t, {
      reads: [read],
      check(judged) {
        told = contents(judged);
        return allowed();
      },
    });
    await ask({
      path: "/v1/authz",
      headers: [
        ["X-Forwarded-Method", "POST"],
        ["X-Forwarded-Uri", "/"],
        ["Content-Type", contentType],
      ],
    });
    t.deepEqual(told, { [read]: protocol }, "authz");
  });
}
