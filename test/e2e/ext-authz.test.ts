import test from "ava";
import { CheckRequest, CheckResponse } from "../../src/wire/gen/envoy/service/auth/v3/external_auth.ts";
import { connect, hubFor, metric, unary } from "./clients.ts";

const policies = `
policy: shop
check:
  - { name: per-user, limit: 1/h, by: 'request.headers["x-user"]' }
  - { name: at-the-other-filter, limit: 1/h, by: 'ratelimit.descriptor["user"]' }
  - name: plan
    when: request.path.startsWith("/plan")
    headers:
      request: { set: { x-plan: '"gold"' } }
      response: { remove: [server] }
      query: { set: { plan: '"gold"', missing: 'request.headers["x-none"]' }, remove: [debug] }
`;

test("through a process: header and query changes, a limit with its fields, metadata, and what cannot be carried is counted", async (t) => {
  const hub = await hubFor(t, {
    "weir.yaml": "doors: { rateLimitFields: { on: always } }\n",
    "policies/shop.yaml": policies,
  });
  const client = connect(hub.grpc);
  t.teardown(() => client.close());
  const ask = async (path: string, user: string) => {
    const http = { method: "GET", path, headers: new Map([["x-user", user]]) };
    const message = CheckRequest.encode(CheckRequest.fromPartial({ attributes: { request: { http } } })).finish();
    const { code, bytes } = await unary(client, "/envoy.service.auth.v3.Authorization/Check", message);
    t.is(code, 0);
    return CheckResponse.decode(bytes);
  };
  const { status, okResponse, dynamicMetadata } = await ask("/plan", "ann");
  t.is(status!.code, 0);
  t.deepEqual(
    okResponse!.headers.map(({ header }) => [header!.key, header!.value]),
    [["x-plan", "gold"]],
  );
  t.deepEqual(okResponse!.queryParametersToSet, [{ key: "plan", value: "gold" }]);
  t.deepEqual([...okResponse!.queryParametersToRemove].sort(), ["debug", "missing"]);
  t.deepEqual(
    okResponse!.responseHeadersToAdd.map(({ header }) => header!.key),
    ["ratelimit-policy", "ratelimit"],
  );
  t.regex(dynamicMetadata!["decision_id"], /^[0-9a-f]{32}$/);
  t.is(await metric(hub, "weir_dropped_total", { what: "header", reason: "not_carried" }), 1);

  const second = await ask("/", "ann");
  t.is(second.status!.code, 8);
  t.is(second.deniedResponse!.status!.code as number, 429);
  const fields = new Map(second.deniedResponse!.headers.map(({ header }) => [header!.key, header!.value]));
  t.true(Number(fields.get("retry-after")) > 3000);
  t.regex(fields.get("ratelimit")!, /^"shop\/per-user";r=0;t=\d+$/);
  t.is(second.dynamicMetadata!["rule"], "shop/per-user");
  t.is((await ask("/", "bob")).status!.code, 0);
});

test("bytes that are no request fail the call, and the next call is answered", async (t) => {
  const hub = await hubFor(t, { "policies/shop.yaml": policies });
  const client = connect(hub.grpc);
  t.teardown(() => client.close());
  const path = "/envoy.service.auth.v3.Authorization/Check";
  const broken = await unary(client, path, Buffer.of(0x0a, 0x7f, 1));
  t.is(broken.code, 3);
  t.regex(broken.details, /WEIR_REQUEST_MALFORMED/);
  const answer = await unary(client, path, Buffer.alloc(0));
  t.is(answer.code, 0);
  t.is(CheckResponse.decode(answer.bytes).status!.code, 0);
});

test("a body is read as far as weir.yaml lets rules, and a larger one is an error where it is read", async (t) => {
  const hub = await hubFor(t, {
    "weir.yaml": "doors: { body: 8B }\n",
    "policies/body.yaml":
      "policy: body\ncheck: [{ name: r, deny: invalid_argument, when: request.body.contains('secret') }]\n",
  });
  const client = connect(hub.grpc);
  t.teardown(() => client.close());
  const codeOf = async (body: string) => {
    const http = { method: "POST", path: "/", body };
    const message = CheckRequest.encode(CheckRequest.fromPartial({ attributes: { request: { http } } })).finish();
    const { bytes } = await unary(client, "/envoy.service.auth.v3.Authorization/Check", message);
    return CheckResponse.decode(bytes).status!.code;
  };
  t.is(await codeOf("8 bytes."), 0);
  t.is(await codeOf("9 bytes.."), 3);
});
