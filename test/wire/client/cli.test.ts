import test, { type ExecutionContext } from "ava";
import { addCheckCommand } from "../../../src/cli/check.ts";
import { addReportCommand } from "../../../src/cli/report.ts";
import type { Asked } from "../../../src/runtime/decision.ts";
import type { DoorOptions } from "../../../src/wire/call.ts";
import { createMixerDoor } from "../../../src/wire/mixer/mixer-door.ts";
import { createStreamDoor } from "../../../src/wire/stream/stream-door.ts";
import { runCommand } from "../../cli/run-command.ts";
import { allowed, contents, fakeHub, noReads, refused } from "../grpc/fake-session.ts";
import { recordingLog, recordingObserver, serve } from "../grpc/harness.ts";

/** Runs a command line against a hub. */
async function run(
  t: ExecutionContext,
  args: readonly string[],
  behaviour: Parameters<typeof fakeHub>[0] = {},
): Promise<{ status: number; out: string; err: string }> {
  const hub = fakeHub(behaviour);
  const options: DoorOptions = { open: hub.open, observer: recordingObserver(), log: recordingLog() };
  const { address } = await serve(t, [createMixerDoor(options), createStreamDoor(options)]);
  let clock = 0;
  const now = () => clock++;
  const [command, ...rest] = args;
  const address_ = rest.includes("--address") ? [] : ["--address", address];
  const { exitCode, out, err } = await runCommand(
    (program, io) => {
      addCheckCommand(program, io, now);
      addReportCommand(program, io, now);
    },
    [command!, ...address_, ...rest],
  );
  return { status: exitCode, out, err };
}

test("check: allowed is status 0", async (t) => {
  let bag: Record<string, unknown> = {};
  const { status, out } = await run(
    t,
    ["check", "request.path=/a=b", "request.headers[x-key]=k", "request.size=5", "source.ip=10.0.0.1"],
    {
      check: (given) => {
        bag = contents(given);
        given.get(given.layout.find("request.path")!);
        given.get(given.layout.find("source.namespace")!);
        given.get(given.layout.keysOf("request.headers")!.get("x-key")!);
        return allowed({ reads: given.reads(), requestHeaders: [{ operation: "set", name: "x-plan", value: "gold" }] });
      },
    },
  );
  t.is(status, 0);
  t.is(
    out,
    `allowed
request     set x-plan: gold
referenced  -source.namespace, request.path, request.headers[x-key]
valid       5 s, 10000 uses
decision    0123456789abcdef0123456789abcdef by policies v1
`,
  );
  t.like(bag, { "request.path": "/a=b", "request.headers[x-key]": "k", "request.size": 5 });
});

for (const door of ["stream", "mixer"]) {
  test(`check: refused is status 2, over ${door}`, async (t) => {
    const { status, out } = await run(t, ["check", "--door", door, "request.path=/"], {
      check: () => refused({ validForMs: 0 }),
    });
    t.is(status, 2);
    t.regex(out, /^refused {5}permission_denied: only reviews may call ratings\n/);
    t.is(out.includes("rules       ratings/only-reviews\n"), door === "stream");
    t.regex(out, /valid {7}for this request only\n/);
  });
}

test("check: what the hub says stays on its line and does not steer the terminal", async (t) => {
  const { out } = await run(t, ["check", "request.path=/"], {
    check: () => refused({ message: "no\u001B[2J\nallowed" }),
  });
  t.regex(out, /^refused {5}permission_denied: no\\u\{1b\}\[2J\\u\{a\}allowed\n/);
});

test("check: --quota, --best-effort and --dedup reach the hub; a quota that was not granted is status 2", async (t) => {
  let asked: Asked = {};
  const { status, out } = await run(
    t,
    ["check", "--quota", "a=5", "--quota", "p/b=1", "--best-effort", "--dedup", "d"],
    {
      check: (_, a) => {
        asked = a;
        return allowed({
          quotas: new Map([
            ["a", { granted: 2, validForMs: 1000, code: 0, message: "", reads: noReads }],
            ["p/b", { granted: 0, validForMs: 0, code: 8, message: "none left", reads: noReads }],
          ]),
        });
      },
    },
  );
  t.is(status, 2);
  t.like(asked, {
    dedupId: "d",
    quotas: new Map([
      ["a", { amount: 5, bestEffort: true }],
      ["p/b", { amount: 1, bestEffort: true }],
    ]),
  });
  t.regex(out, /quota {7}a: 2 granted for 1 s\nquota {7}p\/b: 0 granted, resource_exhausted: none left\n/);
});

test("check: --repeat shows counts and latencies", async (t) => {
  let n = 0;
  const { status, out } = await run(t, ["check", "--repeat", "20", "--concurrency", "3", "request.path=/"], {
    check: () => (n++ % 4 === 0 ? refused() : allowed()),
  });
  t.is(n, 20);
  t.is(status, 2);
  t.regex(out, /checks {6}20: 15 allowed, 5 refused, 0 failed\n/);
  t.regex(out, /latency {5}p50 \d+\.\d\d ms, p90 \d+\.\d\d ms, p99 \d+\.\d\d ms, max \d+\.\d\d ms\n/);
});

test("check: --repeat stops early when no check is answered any more", async (t) => {
  const gone = await run(t, ["check", "--repeat", "100000", "--address", "127.0.0.1:1"]);
  t.is(gone.status, 1);
  t.regex(
    gone.err,
    /^error: 10 of 10 checks failed; 99990 more were not made, since none is answered: cannot call the hub/,
  );
  let n = 0;
  const lost = await run(t, ["check", "--repeat", "500", "request.path=/"], {
    check: () => {
      if (n++ >= 3) throw new Error("broken");
      return allowed();
    },
  });
  t.is(lost.status, 1);
  t.is(n, 13);
  t.regex(lost.err, /^10 of 13 checks failed; 487 more were not made, since none is answered, such as: /);
  t.regex(lost.out, /checks {6}13: 3 allowed, 0 refused, 10 failed\n/);
});

test("check: --json is one JSON object", async (t) => {
  const { status, out } = await run(t, ["check", "--json"], { check: () => refused() });
  t.is(status, 2);
  t.like(JSON.parse(out), {
    allowed: false,
    code: "permission_denied",
    rules: ["ratings/only-reviews"],
    referenced: [],
  });
});

test("check: a refusal that redirects tells where to", async (t) => {
  const http = { status: 302, body: "", headers: [{ name: "location", value: "https://new.example/" }] };
  const { status, out } = await run(t, ["check"], { check: () => refused({ http }) });
  t.is(status, 2);
  t.true(out.includes("\nanswer      302\nlocation    https://new.example/\n"), out);
});

test("check: a word of one's own is sent with the type that was given", async (t) => {
  const { status } = await run(t, ["check", "tenant.plan:string=gold", "tenant.size:int64=5"]);
  t.is(status, 0);
});

test("check: when the hub cannot judge the status is 1", async (t) => {
  const { status, out, err } = await run(t, ["check"], { check: () => Promise.reject(new Error("secret")) });
  t.is(status, 1);
  t.is(out, "");
  t.is(err, "error: the hub failed\n");
  const nobody = await run(t, ["check", "--address", "127.0.0.1:1"]);
  t.is(nobody.status, 1);
  t.is(nobody.err, "error: cannot call the hub at 127.0.0.1:1: connect ECONNREFUSED\n");
});

for (const [args, message] of [
  [["check", "request.pth=/"], /found "request\.pth"; did you mean "request\.path"\?/],
  [["check", "request.path"], /expected name=value, found "request\.path"/],
  [["check", "request.size=many"], /expected a value of type int64 for request\.size, found "many"/],
  [["check", "request.path[x]=1"], /request\.path is no map/],
  [["check", "a:strng=1"], /expected a type \(string, .*found "strng"/],
  [["check", "--quota", "a"], /expected name=amount/],
  [["check", "--quota", "a=-1"], /expected name=amount/],
  [["check", "--repeat", "0"], /from 1 to 1000000/],
  [["check", "--door", "back"], /stream, mixer/],
  [["report", "request.pth=/"], /did you mean "request\.path"\?/],
] as const) {
  test(`${args.join(" ")}: a usage mistake is status 1 and says what was expected`, async (t) => {
    const { status, err } = await run(t, args);
    t.is(status, 1);
    t.regex(err, message);
  });
}

test("report: so many records, in messages of so many", async (t) => {
  let records = 0;
  const { status, out } = await run(t, ["report", "request.path=/", "--repeat", "25", "--batch", "10"], {
    report: (bag) => (contents(bag)["request.path"] === "/" ? (records++, "taken") : "full"),
  });
  t.is(status, 0);
  t.is(records, 25);
  t.regex(out, /^taken {7}25\nlatency {5}p50 .* for 3 messages\n$/);
});

test("report: what was not taken is status 1", async (t) => {
  let room = 3;
  const { status, out } = await run(t, ["report", "--repeat", "5"], { report: () => (room-- > 0 ? "taken" : "full") });
  t.is(status, 1);
  t.is(out, "taken       3\nnot taken   2: a queue or the buffer is full\n");
});

for (const command of ["check", "report"]) {
  test(`${command} --help teaches with an example`, async (t) => {
    const { status, out } = await run(t, [command, "--help"]);
    t.is(status, 0);
    t.regex(out, new RegExp(`\\$ weir ${command} .*destination\\.service\\.name=ratings`));
  });
}
