import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { connect, hubFor, post, unary } from "./clients.ts";
import { check, mixerCheck } from "./mixer-wire.ts";

/** An adapter that takes its time for log entries and says what it delivered when it is closed. */
const slowLogs = `
import { writeFileSync } from "node:fs";
const any = { "~standard": { version: 1, vendor: "test", validate: (value) => ({ value }) } };
export default {
  name: "slow-logs", provides: ["logs"], config: any,
  create: (config, host) => {
    let delivered = 0;
    return {
      async logs(entries) {
        await new Promise((resolve) => setTimeout(resolve, 20));
        delivered += entries.length;
      },
      close() { writeFileSync(host.folder + "/delivered", String(delivered)); },
    };
  },
};`;

const never = `
const any = { "~standard": { version: 1, vendor: "test", validate: (value) => ({ value }) } };
export default {
  name: "never", provides: ["check"], config: any,
  create: (config, host) => ({ check: () => { host.log.info({}, "asked"); return new Promise(() => {}); } }),
};`;

test("what was taken is delivered before the hub ends", async (t) => {
  const hub = await hubFor(t, {
    "weir.yaml":
      "policies: ./policies\nadapters:\n  slow: { adapter: ./slow-logs.mjs }\n  file: { adapter: log, to: access.log }\n",
    "slow-logs.mjs": slowLogs,
    "policies/log.yaml": ["slow", "file", "stdout"]
      .map((to) => `policy: to-${to}\nreport:\n  - log: access\n    fields: { path: request.path }\n    to: ${to}\n`)
      .join("---\n"),
  });
  const records = Array.from({ length: 5000 }, (_, i) => ({ "request.path": `/${i}` }));
  t.is((await post(hub, "/v1/report", { reports: records })).json.taken, 5000);
  hub.process.kill("SIGTERM");
  t.deepEqual(await hub.exit, { code: 0, signal: null });
  t.is(readFileSync(join(hub.folder, "delivered"), "utf8"), "5000");
  const paths = (text: string) =>
    text
      .trim()
      .split("\n")
      .map((line) => (JSON.parse(line) as { path: string }).path);
  const wanted = records.map((record) => record["request.path"]);
  t.deepEqual(paths(readFileSync(join(hub.folder, "access.log"), "utf8")), wanted);
  // Standard output holds the access log and nothing else: the hub's own log goes to standard error.
  t.deepEqual(paths(hub.stdout()), wanted);
  t.true(hub.stderr().includes("stopped"));
});

test("a call that does not end is cut at the deadline, and the exit status says so", async (t) => {
  const hub = await hubFor(t, {
    "weir.yaml":
      "policies: ./policies\ncheck: { adapterTimeout: 10m }\nshutdown: { deadline: 500ms }\nadapters: { never: { adapter: ./never.mjs } }\n",
    "never.mjs": never,
    "policies/never.yaml": "policy: never\ncheck:\n  - name: ask\n    ask: never\n",
  });
  const client = connect(hub.grpc);
  t.teardown(() => client.close());
  const overGrpc = unary(client, mixerCheck, new Uint8Array(), 600_000);
  const overHttp = post(hub, "/v1/check", { attributes: {} }).catch(() => "cut");
  await hub.saw('"asked"');
  hub.process.kill("SIGTERM");
  t.deepEqual(await hub.exit, { code: 1, signal: null });
  t.is((await overGrpc).code, 14);
  t.is(await overHttp, "cut");
});

test("an adapter that leaves a timer behind does not keep the process", async (t) => {
  const hub = await hubFor(t, {
    "weir.yaml": "policies: ./policies\nadapters: { untidy: { adapter: ./untidy.mjs } }\n",
    "untidy.mjs": never.replace("({ check:", "(setInterval(() => {}, 1000), { check:"),
    "policies/readme.txt": "",
  });
  hub.process.kill("SIGTERM");
  t.deepEqual(await hub.exit, { code: 0, signal: null });
});

test("a hub with idle connections and nothing to do ends without cutting anything", async (t) => {
  const hub = await hubFor(t, { "policies/readme.txt": "" });
  const client = connect(hub.grpc);
  t.teardown(() => client.close());
  await check(client, {});
  await post(hub, "/v1/check", {});
  await fetch(`http://${hub.admin}/metrics`);
  hub.process.kill("SIGINT");
  t.deepEqual(await hub.exit, { code: 0, signal: null });
});
