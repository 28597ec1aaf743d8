import test from "ava";
import type { Decision, LimitState } from "../../../../src/runtime/decision.ts";
import { doorSettings } from "../../../../src/policy/schema/doors.ts";
import { CheckAnswers } from "../../../../src/wire/envoy/ext-authz/check-answer.ts";
import { CheckRequest, CheckResponse } from "../../../../src/wire/gen/envoy/service/auth/v3/external_auth.ts";
import type { HeaderValueOption } from "../../../../src/wire/gen/envoy/config/core/v3/base.ts";
import { allowed, refused } from "../../grpc/fake-session.ts";
import { recordingObserver } from "../../grpc/harness.ts";
import type { Context } from "./mapping.ts";

const http: Context = { request: { http: { headers: new Map([["x-there", "1"]]) } } };

function answerTo(
  decision: Decision,
  options: { context?: Context; isGrpc?: boolean; isHttp?: boolean; always?: "draft" | "legacy" } = {},
) {
  const { context = http, isGrpc = false, isHttp = true } = options;
  const observer = recordingObserver();
  const message = CheckRequest.encode(CheckRequest.fromPartial({ attributes: context })).finish();
  const defaults = doorSettings(undefined);
  const settings = options.always
    ? { ...defaults, rateLimitFields: { style: options.always, on: "always" } as const }
    : defaults;
  const answers = new CheckAnswers(observer);
  const bytes = answers.answer(decision, { isHttp, isGrpc }, settings, Buffer.from(message));
  const again = answers.answer(decision, { isHttp, isGrpc }, settings, Buffer.from(message));
  return { response: CheckResponse.decode(bytes), again: CheckResponse.decode(again), drops: observer.drops };
}

/** `=` replaces, `+` appends, `?` adds where there is none. Both ways of saying so must agree. */
function headerText({ header, append, appendAction, keepEmptyValue }: HeaderValueOption): string {
  if (append === undefined && appendAction === 1) return `${header!.key}?${header!.value}`;
  if ((append === true) !== (appendAction === 0)) throw new Error("append and append_action differ");
  if (append === false && appendAction !== 2) throw new Error("a header that is replaced must be added where none is");
  return `${header!.key}${append === true ? "+" : "="}${header!.value}${keepEmptyValue ? " (kept)" : ""}`;
}

test("a plain pass: code 0, an empty OkHttpResponse, the decision in the metadata", (t) => {
  const { response, again } = answerTo(allowed());
  t.deepEqual(response, {
    status: { code: 0, message: "", details: [] },
    deniedResponse: undefined,
    okResponse: {
      headers: [],
      headersToRemove: [],
      responseHeadersToAdd: [],
      queryParametersToSet: [],
      queryParametersToRemove: [],
    },
    dynamicMetadata: { decision_id: "0123456789abcdef0123456789abcdef", policy_version: "v1", code: "ok" },
  });
  t.deepEqual(again, response);
});

test("each plain pass has its own id, and the version that decided", (t) => {
  const answers = new CheckAnswers(recordingObserver());
  const settings = doorSettings(undefined);
  const id = (i: number) => String(i).padStart(32, "0");
  const bytes = [
    { id: id(1) },
    { id: id(2) },
    { id: id(3), version: "v2" },
    { id: id(4), version: "v2" },
    { id: "short" },
    { id: id(5) },
  ].map((changes) => answers.answer(allowed(changes), { isHttp: true, isGrpc: false }, settings, Buffer.alloc(0)));
  const told = bytes.map((each) => CheckResponse.decode(each).dynamicMetadata!);
  t.deepEqual(
    told.map((metadata) => `${metadata["decision_id"]} ${metadata["policy_version"]}`),
    [`${id(1)} v1`, `${id(2)} v1`, `${id(3)} v2`, `${id(4)} v2`, "short v1", `${id(5)} v1`],
  );
});

test("passes stay as they were answered, however many follow", (t) => {
  const settings = doorSettings(undefined);
  for (const version of ["v1", "v".repeat(10_000)]) {
    const answers = new CheckAnswers(recordingObserver());
    const ids = Array.from({ length: 300 }, (_, i) => String(i).padStart(32, "0"));
    const asker = { isHttp: true, isGrpc: false };
    const bytes = ids.map((id) => answers.answer(allowed({ id, version }), asker, settings, Buffer.alloc(0)));
    for (const [i, each] of bytes.entries()) {
      const { dynamicMetadata, okResponse } = CheckResponse.decode(each);
      t.deepEqual(dynamicMetadata, { decision_id: ids[i], policy_version: version, code: "ok" });
      t.not(okResponse, undefined);
    }
  }
});

test("the answer about a connection has nothing of HTTP", (t) => {
  for (const decision of [allowed(), refused()]) {
    const { response } = answerTo(decision, { isHttp: false });
    t.deepEqual([response.okResponse, response.deniedResponse], [undefined, undefined]);
    t.is(response.status!.code, decision.code);
  }
});

test("header operations: set, append and remove, for the request and for the response", (t) => {
  const { response, drops } = answerTo(
    allowed({
      requestHeaders: [
        { operation: "set", name: "x-plan", value: "gold" },
        { operation: "remove", name: "x-debug", value: "" },
        { operation: "append", name: "x-there", value: "2" },
        { operation: "append", name: "x-new", value: "a" },
        { operation: "append", name: "x-new", value: "b" },
        { operation: "set", name: "x-empty", value: "" },
      ],
      responseHeaders: [
        { operation: "set", name: "x-set", value: "1" },
        { operation: "append", name: "x-more", value: "2" },
        { operation: "remove", name: "server", value: "" },
      ],
    }),
  );
  const { headers, headersToRemove, responseHeadersToAdd } = response.okResponse!;
  t.deepEqual(headers.map(headerText), ["x-plan=gold", "x-there+2", "x-new=a", "x-new+b", "x-empty= (kept)"]);
  t.deepEqual(headersToRemove, ["x-debug"]);
  t.deepEqual(responseHeadersToAdd.map(headerText), ["x-set=1", "x-more+2"]);
  t.deepEqual(drops, ["header not_carried 1", "header not_carried 1"]);
});

test("query parameters: set, also to nothing, and removed", (t) => {
  const query = [
    { operation: "set", name: "plan", value: "gold" },
    { operation: "set", name: "empty", value: "" },
    { operation: "remove", name: "debug", value: "" },
  ] as const;
  const { queryParametersToSet, queryParametersToRemove } = answerTo(allowed({ query })).response.okResponse!;
  t.deepEqual(queryParametersToSet, [
    { key: "plan", value: "gold" },
    { key: "empty", value: "" },
  ]);
  t.deepEqual(queryParametersToRemove, ["debug"]);
});

test("a parameter is changed however its name is spelled, and none comes in with a value", (t) => {
  const path = "/x?%70lan=free&plan=a&a+b=1&a%20b=2&%64%65bug&debug=1&planet=1&%zz=1&?plan=2&&=&other=%70lan#x";
  const query = [
    { operation: "set", name: "plan", value: "gold & more=1#+%\u00e9" },
    { operation: "set", name: "it's", value: "a-b_c.d~e" },
    { operation: "remove", name: "debug", value: "" },
    { operation: "remove", name: "a b", value: "" },
  ] as const;
  const context: Context = { request: { http: { path } } };
  const { queryParametersToSet, queryParametersToRemove } = answerTo(allowed({ query }), { context }).response
    .okResponse!;
  t.deepEqual(queryParametersToSet, [
    { key: "plan", value: "gold%20%26%20more%3D1%23%2B%25%C3%A9" },
    { key: "it%27s", value: "a-b_c.d~e" },
  ]);
  t.deepEqual(queryParametersToRemove, ["%70lan", "debug", "%64%65bug", "a%20b", "a+b"]);
});

test("what is appended after a removal is all that is there", (t) => {
  const requestHeaders = [
    { operation: "remove", name: "x-there", value: "" },
    { operation: "append", name: "x-there", value: "a" },
    { operation: "append", name: "x-there", value: "b" },
  ] as const;
  const { response, drops } = answerTo(allowed({ requestHeaders, responseHeaders: requestHeaders }));
  const { headers, headersToRemove, responseHeadersToAdd } = response.okResponse!;
  t.deepEqual(headers.map(headerText), ["x-there=a", "x-there+b"]);
  t.deepEqual(headersToRemove, []);
  t.deepEqual(responseHeadersToAdd.map(headerText), ["x-there=a", "x-there+b"]);
  t.deepEqual(drops, []);
});

test("whether a header is there to append to is seen in raw headers as well", (t) => {
  const context: Context = {
    request: { http: { headerMap: { headers: [{ key: "x-raw", rawValue: Buffer.from("1") }] } } },
  };
  const requestHeaders = [{ operation: "append", name: "x-raw", value: "2" } as const];
  const { response } = answerTo(allowed({ requestHeaders }), { context });
  t.deepEqual(response.okResponse!.headers.map(headerText), ["x-raw+2"]);
});

test("a refusal: code, message, HTTP status by the code, the rules in the metadata", (t) => {
  const { response } = answerTo(
    refused({ rules: ["ratings/only-reviews", "ratings/other"], observed: ["ratings/later"] }),
  );
  t.deepEqual(response.status, { code: 7, message: "only reviews may call ratings", details: [] });
  t.is(response.okResponse, undefined);
  t.deepEqual(response.deniedResponse, {
    status: { code: 403 },
    headers: [],
    body: "only reviews may call ratings",
  });
  t.deepEqual(response.dynamicMetadata, {
    decision_id: "0123456789abcdef0123456789abcdef",
    policy_version: "v1",
    code: "permission_denied",
    rule: "ratings/only-reviews",
    rules: ["ratings/only-reviews", "ratings/other"],
    observed: ["ratings/later"],
  });
});

test("a pass that a policy would have refused says so", (t) => {
  const { response } = answerTo(allowed({ observed: ["a/b"] }));
  t.deepEqual(response.dynamicMetadata!["observed"], ["a/b"]);
  t.is(response.status!.code, 0);
});

test("a direct response: its status, body and headers", (t) => {
  const headers = [
    { name: "location", value: "/login" },
    { name: "set-cookie", value: "a=1" },
    { name: "set-cookie", value: "b=2" },
  ];
  const { response } = answerTo(refused({ code: 16, http: { status: 302, body: "", headers } }));
  t.deepEqual(response.deniedResponse!.headers.map(headerText), [
    "location=/login",
    "set-cookie=a=1",
    "set-cookie+b=2",
  ]);
  t.deepEqual([response.deniedResponse!.status, response.deniedResponse!.body], [{ code: 302 }, ""]);
});

test("a refused call of gRPC has the rule's code", (t) => {
  const { response } = answerTo(refused({ code: 8 }), { isGrpc: true });
  t.deepEqual(response.deniedResponse!.headers.map(headerText), ["grpc-status=8"]);
  t.is(response.deniedResponse!.status!.code, 429);
});

test("a refusal is never OK, whatever its code says", (t) => {
  t.not(answerTo(refused({ code: 0 })).response.status!.code, 0);
});

const limit: LimitState = {
  rule: "shop/day",
  allowed: false,
  amount: 10,
  windowMs: 60_000,
  remaining: 0,
  resetMs: 5000,
  retryAfterMs: 5000,
};

test("a limit that refuses: 429, when to come again, and where it stands", (t) => {
  const { response } = answerTo(refused({ code: 8, limits: [limit], rules: ["shop/day"] }));
  t.is(response.deniedResponse!.status!.code, 429);
  t.deepEqual(response.deniedResponse!.headers.map(headerText), [
    "retry-after=5",
    'ratelimit-policy="shop/day";q=10;w=60',
    'ratelimit="shop/day";r=0;t=5',
  ]);
});

test("what the rule itself says of a header goes before what limits say", (t) => {
  const direct = { headers: [{ name: "retry-after", value: "99" }] };
  const { response } = answerTo(refused({ code: 8, limits: [limit], http: direct }));
  t.is(
    response
      .deniedResponse!.headers.map(headerText)
      .filter((each) => each.startsWith("retry-after"))
      .join(),
    "retry-after=99",
  );
});

test("a limit that grants is told of where that is asked for, beside what others tell", (t) => {
  const granted = allowed({ limits: [{ ...limit, allowed: true, remaining: 9 }] });
  t.deepEqual(answerTo(granted).response.okResponse!.responseHeadersToAdd, []);
  t.deepEqual(answerTo(granted, { always: "draft" }).response.okResponse!.responseHeadersToAdd.map(headerText), [
    'ratelimit-policy+"shop/day";q=10;w=60',
    'ratelimit+"shop/day";r=9;t=5',
  ]);
  t.deepEqual(answerTo(granted, { always: "legacy" }).response.okResponse!.responseHeadersToAdd.map(headerText), [
    "x-ratelimit-limit?10",
    "x-ratelimit-remaining?9",
    "x-ratelimit-reset?5",
  ]);
});
