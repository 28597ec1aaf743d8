import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import type { Check } from "./check.ts";
import { compose } from "./composition.ts";
import { addresses, ask, eventually, jaegerTrace, journal } from "./services.ts";
import { burstSize, shopLimit } from "./shop-limit.ts";
import { newCaller, openTraffic, traceparent } from "./traffic.ts";

/** Records that are reported before the kill. */
const recordCount = 50;

/** What is to be found when the hub is killed in the midst of work and started again, and while what it leans on is away. */
export function faultChecks(): readonly Check[] {
  const traffic = openTraffic();
  const caller = newCaller();
  const paths = Array.from({ length: recordCount }, () => `/${randomBytes(6).toString("hex")}`);
  /** When the limit was used up, and how many had passed by then. */
  let emptied = 0;
  let before = 0;
  return [
    {
      what: "records are answered while Jaeger stands still, and wait in NATS",
      of: ["weir", "nats"],
      async run() {
        await compose("pause", "jaeger");
        const report = (path: string) => ({
          "context.protocol": "http",
          "request.method": "GET",
          "request.path": path,
          "request.time": new Date().toISOString(),
          "response.duration": "5ms",
          "response.code": 200,
          "request.headers": { traceparent: traceparent(caller) },
        });
        // One call each, so that each is a message of its own.
        const answers = await Promise.all(
          paths.map((path) => ask(`${addresses.doors}/v1/report`, { reports: [report(path)] })),
        );
        for (const { taken } of answers) assert.equal(taken, 1);
        const { waiting } = await eventually(journal, (state) => state.waiting > 0);
        return `${recordCount} records taken, ${waiting} messages wait`;
      },
    },
    {
      what: "without the hub Envoy refuses",
      of: ["envoy"],
      async run() {
        emptied = Date.now();
        const { 429: refused = 0 } = await traffic.burst(burstSize);
        assert.ok(refused > 0, "the limit was not used up");
        before = traffic.answered(200);
        await compose("kill", "weir");
        const { status } = await traffic.send("/nobody-asked");
        assert.equal(status, 503);
        return "503 after docker compose kill";
      },
    },
    {
      what: "the hub comes back, and limits go on where they were",
      of: ["weir", "envoy", "redis"],
      async run() {
        // With its dependencies Compose would start Jaeger too, which stands still.
        await compose("up", "--detach", "--no-deps", "weir");
        await eventually(
          () => ask(`${addresses.admin}/readyz`),
          ({ ready }) => ready === true,
          60,
        );
        // Envoy looks every five seconds whether the hub is well.
        await eventually(
          async () => (await traffic.send("/again")).status,
          (status) => status === 200 || status === 429,
        );
        await traffic.burst(burstSize);
        const passed = traffic.answered(200) - before;
        const seconds = (Date.now() - emptied) / 1000;
        const most = Math.floor(seconds * shopLimit.perSecond) + 1;
        assert.ok(most < shopLimit.burst, `it took ${seconds} s, in which the limit is whole again anyhow`);
        assert.ok(passed > 0 && passed <= most, `${passed} passed, of 1 to ${most}`);
        return `${passed} passed in the ${seconds.toFixed(1)} s since the limit was used up, 1 to ${most} should`;
      },
    },
    {
      what: "every record that was answered before the kill is in Jaeger",
      of: ["weir", "nats", "jaeger"],
      async run() {
        await compose("unpause", "jaeger");
        const found = await eventually(
          async () => {
            const there = new Set((await jaegerTrace(caller.trace)).map(({ tags }) => tags["url.path"]));
            return paths.filter((path) => there.has(path)).length;
          },
          (count) => count === recordCount,
          90,
        );
        await eventually(journal, ({ waiting }) => waiting === 0, 60);
        return `${found} of ${recordCount}, and none waits in NATS`;
      },
    },
    {
      what: "without Redis limits are counted by the hub itself",
      of: ["weir", "envoy", "redis"],
      async run() {
        await compose("stop", "redis");
        const { 200: passed = 0, 429: refused = 0 } = await traffic.burst(burstSize);
        await compose("start", "redis");
        assert.equal(passed + refused, burstSize, "not all of them were judged");
        const metrics = await (await fetch(`${addresses.admin}/metrics`)).text();
        const degraded = Number(/^weir_limits_degraded_total\{.*\} (\d+)/m.exec(metrics)?.[1] ?? 0);
        assert.ok(passed > 0 && degraded > 0, `${passed} passed, ${degraded} counted by itself`);
        return `${passed} of ${burstSize} passed, and it says so in weir_limits_degraded_total`;
      },
    },
    {
      what: "without NATS a report is refused at once rather than lost, until NATS is back",
      of: ["weir", "nats"],
      async run() {
        const report = () =>
          ask(`${addresses.doors}/v1/report`, { reports: [{ "context.protocol": "http", "request.method": "GET" }] });
        await compose("stop", "nats");
        await assert.rejects(report, /answers 503: .*WEIR_REPORT_NOT_STORED/);
        await compose("start", "nats");
        await eventually(report, ({ taken }) => taken === 1);
        return "503, and taken again later";
      },
    },
    {
      what: "the hub stops in order when it is told to",
      of: ["weir"],
      async run() {
        const began = Date.now();
        await compose("stop", "weir");
        const [line] = (await compose("ps", "--all", "--format", "json", "weir")).trim().split("\n");
        const { ExitCode: code } = JSON.parse(line!) as { ExitCode: number };
        assert.equal(code, 0, `it ended with status ${code}`);
        return `status 0 after ${((Date.now() - began) / 1000).toFixed(1)} s`;
      },
    },
  ];
}
