import { readFile } from "node:fs/promises";
import { connect } from "node:net";
import test from "ava";
import { errorInLog } from "../../src/cli/error-in-log.ts";
import { freePort } from "../e2e/free-port.ts";

const shown = (error: unknown): unknown => JSON.parse(JSON.stringify(errorInLog(error)) ?? "null");

const refused = (port: number, host: string): Promise<Error> =>
  new Promise((resolve) => connect({ port, host }).once("error", resolve));

test("what the system says is told with its code and place, and without a stack", async (t) => {
  const absent = await t.throwsAsync(readFile("/no/such/file"));
  t.deepEqual(shown(absent), {
    type: "Error",
    message: "ENOENT: no such file or directory, open '/no/such/file'",
    code: "ENOENT",
    errno: -2,
    syscall: "open",
    path: "/no/such/file",
  });
  const port = await freePort();
  t.like(shown(await refused(port, "127.0.0.1")), {
    message: `connect ECONNREFUSED 127.0.0.1:${port}`,
    code: "ECONNREFUSED",
    port,
    stack: undefined,
  });
});

test("an error that the system's caused is told with both, and attempts at several addresses with each", (t) => {
  const cause = Object.assign(new Error("connect ECONNREFUSED 127.0.0.1:1"), { code: "ECONNREFUSED" });
  t.deepEqual(shown(new TypeError("fetch failed", { cause })), {
    type: "TypeError",
    message: "fetch failed: connect ECONNREFUSED 127.0.0.1:1",
    code: "ECONNREFUSED",
  });
  const other = Object.assign(new Error("connect ECONNREFUSED ::1:1"), { code: "ECONNREFUSED" });
  const both = Object.assign(new AggregateError([other, cause]), { code: "ECONNREFUSED" });
  t.deepEqual(shown(both), {
    type: "AggregateError",
    message: "connect ECONNREFUSED ::1:1, connect ECONNREFUSED 127.0.0.1:1",
    code: "ECONNREFUSED",
  });
  t.like(shown(Object.assign(new AggregateError([other], "nobody is there"), { code: "ECONNREFUSED" })), {
    message: "nobody is there",
  });
  const own = Object.assign(new Error("no store", { cause }), { code: "WEIR_STORE" });
  t.like(shown(own), { code: "WEIR_STORE", stack: undefined });
  t.deepEqual(shown(new TypeError("fetch failed", { cause: both })), {
    type: "TypeError",
    message: "fetch failed: connect ECONNREFUSED ::1:1, connect ECONNREFUSED 127.0.0.1:1",
    code: "ECONNREFUSED",
  });
});

test("what an error says itself stays: its own code, and its own message of several attempts", (t) => {
  const cause = Object.assign(new Error("getaddrinfo ENOTFOUND hub"), { code: "ENOTFOUND" });
  t.deepEqual(shown(Object.assign(new Error("no hub", { cause }), { code: "WEIR_UNAVAILABLE" })), {
    type: "Error",
    message: "no hub: getaddrinfo ENOTFOUND hub",
    code: "WEIR_UNAVAILABLE",
  });
  const all = Object.assign(new AggregateError([cause], "none of 1 answered"), { code: "ENOTFOUND" });
  t.deepEqual(shown(all), { type: "AggregateError", message: "none of 1 answered", code: "ENOTFOUND" });
});

test("any other error has its stack, whatever its causes are", (t) => {
  const ring = new Error("ring");
  ring.cause = ring;
  const own = Object.assign(new Error("wrong"), { code: "ERR_INVALID_ARG_TYPE" });
  for (const error of [new TypeError("x is not a function"), own, new Error("a", { cause: "b" }), ring])
    t.regex((shown(error) as { stack: string }).stack, /error-in-log\.test/);
  t.is(shown("no error"), "no error");
  t.is(shown(undefined), null);
});
