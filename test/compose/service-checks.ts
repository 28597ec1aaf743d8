import assert from "node:assert/strict";
import { queriesOf, type Dashboard } from "../cases/dashboards/grafana.ts";
import type { Check } from "./check.ts";
import { compose } from "./composition.ts";
import { addresses, ask, eventually, grafanaQuery, jaegerTrace, journal, prometheusQuery } from "./services.ts";
import { burstSize, shopLimit } from "./shop-limit.ts";
import { newCaller, openTraffic, traceparent } from "./traffic.ts";

const used = async (): Promise<any> => ask(`${addresses.admin}/limits/${shopLimit.rule}`);

/** What is to be found once everything is up. */
export function serviceChecks(): readonly Check[] {
  const traffic = openTraffic();
  const caller = newCaller();
  let since = 0;
  return [
    {
      what: "the hub is ready, with the policies of both places",
      of: ["weir"],
      async run() {
        await ask(`${addresses.admin}/readyz`);
        const { limits } = (await ask(`${addresses.admin}/limits`)) as { limits: { rule: string; via: string }[] };
        assert.ok(
          limits.some(({ rule, via }) => rule === shopLimit.rule && via === "redis"),
          "its limit is not in Redis",
        );
        assert.ok(
          limits.some(({ rule }) => rule.startsWith("reviews-limits/")),
          "the policies of Bookinfo are not there",
        );
        return `${limits.length} limits`;
      },
    },
    {
      what: "Envoy refuses what the hub denies, however it is written, and it costs nothing of a limit",
      of: ["weir", "envoy"],
      async run() {
        const paths = ["/admin", "//admin/users", "/%61dmin?page=1"];
        for (const path of paths) {
          const { status, text } = await traffic.send(path);
          assert.ok(status === 403 && text.includes("not from here"), `${path}: ${status} ${text}`);
        }
        assert.ok((await used()).keys.length === 0, "something was taken of the limit");
        return `403 for ${paths.join(", ")}`;
      },
    },
    {
      what: "Envoy passes what the hub allows on to the service, with its caller's trace",
      of: ["weir", "envoy", "shop"],
      async run() {
        since = Date.now();
        const { status, text } = await traffic.send("/traced", { traceparent: traceparent(caller) });
        assert.ok(status === 200 && text.includes("GET /traced"), `${status} ${text}`);
        assert.ok(text.toLowerCase().includes(caller.trace), `the service was not told the trace: ${text}`);
        return "200 for /traced";
      },
    },
    {
      what: "Envoy refuses beyond the limit, and says when to come again",
      of: ["weir", "envoy", "redis"],
      async run() {
        const found = await traffic.burst(burstSize);
        const passed = traffic.answered(200);
        const bound = shopLimit.burst + Math.floor(((Date.now() - since) / 1000) * shopLimit.perSecond);
        assert.ok(passed >= shopLimit.burst && passed <= bound, `${passed} passed, of ${shopLimit.burst} to ${bound}`);
        assert.ok((found[200] ?? 0) + (found[429] ?? 0) === burstSize, `answers: ${JSON.stringify(found)}`);
        const { status, headers } = await traffic.send("/more");
        assert.ok(status === 200 || headers.get("retry-after") !== null, "429 without retry-after");
        return `${passed} of ${burstSize + 1} passed, ${shopLimit.burst} to ${bound} should`;
      },
    },
    {
      what: "the count is in Redis, and `weir limits` shows it",
      of: ["weir", "redis"],
      async run() {
        const { keys } = await used();
        assert.ok(keys.length === 1, `keys: ${JSON.stringify(keys)}`);
        const [{ key, used: units }] = keys;
        const expected = traffic.answered(200) - Math.ceil((Date.now() - since) / 1000) - 1;
        assert.ok(units <= shopLimit.burst && units >= expected, `${units} used, of ${expected} to ${shopLimit.burst}`);
        const kept = (await compose("exec", "-T", "redis", "redis-cli", "--scan", "--pattern", "weir:*")).trim();
        assert.ok(kept.includes(shopLimit.rule) && kept.includes(key.key), `keys of Redis: ${kept}`);
        const shown = await compose("exec", "-T", "weir", "weir", "limits", shopLimit.rule);
        assert.ok(shown.includes(key.key), shown);
        return `${units} used by ${key.key}`;
      },
    },
    {
      what: "Prometheus scrapes the hub, and has counted every request by its answer",
      of: ["weir", "prometheus", "envoy"],
      async run() {
        const codes = [200, 403, 429];
        const wanted = codes.map((code) => traffic.answered(code));
        await eventually(
          async () => (await prometheusQuery('up{job="weir"}')).map(({ value }) => value),
          ([up]) => up === 1,
        );
        const query = "sum by (response_code) (istio_requests_total)";
        const counted = await eventually(
          async () => {
            const samples = await prometheusQuery(query);
            return codes.map(
              (code) => samples.find(({ labels }) => labels["response_code"] === String(code))?.value ?? 0,
            );
          },
          (found) => found.every((count, i) => count === wanted[i]),
        );
        return codes.map((code, i) => `${counted[i]} x ${code}`).join(", ");
      },
    },
    {
      what: "an exemplar in Prometheus names the trace of a request",
      of: ["weir", "prometheus"],
      async run() {
        // A caller of its own: of a bucket the last trace is kept.
        const last = newCaller();
        await traffic.send("/last", { traceparent: traceparent(last) });
        const now = Date.now() / 1000;
        const query = "istio_request_duration_milliseconds_bucket";
        const asked = new URLSearchParams({ query, start: String(now - 600), end: String(now + 600) });
        await eventually(
          async () => JSON.stringify(await ask(`${addresses.prometheus}/api/v1/query_exemplars?${asked}`)),
          (found) => found.includes(last.trace),
        );
        return last.trace;
      },
    },
    {
      what: "Grafana has the dashboards, and Prometheus answers their panels",
      of: ["grafana", "prometheus"],
      async run() {
        const found = await eventually(
          async () => (await ask(`${addresses.grafana}/api/search?type=dash-db`)) as { uid: string }[],
          (boards) => ["weir-hub", "weir-mesh"].every((uid) => boards.some((board) => board.uid === uid)),
        );
        const told: string[] = [];
        for (const { uid } of found) {
          const { dashboard } = await ask(`${addresses.grafana}/api/dashboards/uid/${uid}`);
          const queries = queriesOf(dashboard as Dashboard);
          const shown = async () => {
            await traffic.send("/shown");
            const answers = await Promise.all(queries.map((query) => grafanaQuery(query)));
            return answers.filter((samples) => samples.some(({ value }) => Number.isFinite(value))).length;
          };
          // What this traffic has nothing for (TCP, faults, certificates) is only read.
          const withData = await eventually(shown, (count) => count >= queries.length * 0.75);
          told.push(`${uid}: ${withData} of ${queries.length} queries with data`);
        }
        return told.join(", ");
      },
    },
    {
      what: "Grafana reaches Jaeger, and lets nobody change anything",
      of: ["grafana", "jaeger"],
      async run() {
        await ask(`${addresses.grafana}/api/datasources/uid/jaeger/health`);
        const body = JSON.stringify({ dashboard: { title: "mine", panels: [] }, overwrite: true });
        for (const given of [{}, { authorization: `Basic ${btoa("admin:admin")}` }]) {
          const headers = { "content-type": "application/json", ...given };
          const { status } = await fetch(`${addresses.grafana}/api/dashboards/db`, { method: "POST", headers, body });
          assert.ok(status === 401 || status === 403, `a dashboard could be written: ${status}`);
        }
        return "401 or 403, also for the password that Grafana comes with";
      },
    },
    {
      what: "Jaeger shows the request and the hub's own spans below the caller's span",
      of: ["weir", "jaeger", "nats"],
      async run() {
        const spans = await eventually(
          () => jaegerTrace(caller.trace),
          (found) => found.length >= 5,
        );
        const above = new Map(spans.map(({ id, name }) => [id, name]));
        const tree = spans.map(({ name, parent = "" }) => `${name} < ${above.get(parent) ?? parent}`).sort();
        const wanted = [
          `GET < ${caller.span}`,
          `check < ${caller.span}`,
          "limits < check",
          "redis quota < limits",
          "rules < check",
        ];
        assert.ok(JSON.stringify(tree) === JSON.stringify(wanted), `spans: ${tree.join("; ")}`);
        const { tags, service } = spans.find(({ name }) => name === "GET")!;
        const facts = { "http.request.method": "GET", "url.path": "/traced", "http.response.status_code": 200 };
        for (const [key, value] of Object.entries(facts))
          assert.ok(tags[key] === value, `${key} is ${JSON.stringify(tags[key])}`);
        return `${spans.length} spans, of ${service} and ${spans.find(({ name }) => name === "check")!.service}`;
      },
    },
    {
      what: "NATS has taken the records, and none of them waits",
      of: ["weir", "nats", "jaeger"],
      async run() {
        const { taken } = await eventually(journal, (state) => state.taken > 0 && state.waiting === 0);
        return `${taken} messages went through the stream`;
      },
    },
  ];
}
