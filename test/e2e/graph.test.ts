import { join } from "node:path";
import test from "ava";
import { addGraphCommand } from "../../src/cli/graph.ts";
import { runCommand } from "../cli/run-command.ts";
import { hubFor, post } from "./clients.ts";
import { doors } from "./mesh-traffic.ts";
import { secured, tls } from "./secured-hub.ts";

const record = {
  "source.workload.name": "web",
  "source.workload.namespace": "shop",
  "destination.workload.name": "cart",
  "destination.workload.namespace": "shop",
  "context.protocol": "http",
  "response.code": 503,
  "response.duration": "3ms",
};

const noPolicies = { "policies/none.yaml": "policy: none\ncheck:\n  - { name: ok, deny: aborted, when: 'false' }\n" };

for (const [door, open] of doors) {
  test(`what is reported through ${door} is drawn, without a policy that asks for it`, async (t) => {
    const hub = await hubFor(t, noPolicies);
    const traffic = open(hub);
    t.teardown(() => traffic.close());
    await traffic.send();
    for (;;) {
      const { out } = await runCommand(addGraphCommand, ["graph", "--admin", hub.admin]);
      // Nobody acknowledges an access log.
      if (out.includes("reviews-v3.bookinfo") && out.includes("ratings-v3.bookinfo")) break;
      await traffic.send();
    }
    const { out } = await runCommand(addGraphCommand, ["graph", "--admin", hub.admin, "--format", "dot"]);
    t.regex(out, /n\d+ \[label="productpage-v3"\]/);
  });
}

test("a graph that is off is none, and says so", async (t) => {
  const hub = await hubFor(t, { ...noPolicies, "weir.yaml": "telemetry: { graph: { window: 0s } }\n" });
  await post(hub, "/v1/report", { reports: [record] });
  const { err, exitCode } = await runCommand(addGraphCommand, ["graph", "--admin", hub.admin]);
  t.is(err, "error: telemetry.graph of weir.yaml is off\n");
  t.is(exitCode, 1);
});

test("the graphs of two hubs are one, from a listener with TLS and a token too; a wrong token is told", async (t) => {
  const token = "a-token-of-more-than-16-characters";
  const config = `listen: { admin: { address: "127.0.0.1:0", tls: ${tls("")}, tokens: tokens } }\n`;
  const [one, other] = await Promise.all([
    secured(t, config, { "tokens/ann": token, "tokens/.wrong": "another-token-of-16-characters" }),
    secured(t, config, { "tokens/ann": token }),
  ]);
  for (const hub of [one, other]) await post(hub, "/v1/report", { reports: [record, record] });
  const asked = (tokenFile: string) =>
    runCommand(addGraphCommand, [
      "graph",
      "--admin",
      one.admin,
      "--also",
      other.admin,
      "--format",
      "json",
      "--ca",
      join(one.folder, "certs/ca.crt"),
      "--token-file",
      join(one.folder, tokenFile),
    ]);
  const { out, err } = await asked("tokens/ann");
  t.is(err, "");
  const { edges } = JSON.parse(out) as { edges: object[] };
  t.like(edges, [{ source: { name: "web" }, destination: { name: "cart" }, errorShare: 1 }]);
  t.is((await asked("tokens/.wrong")).err, "error: expected a bearer token\n");
});

test("an address where no hub is says so", async (t) => {
  const { err, exitCode } = await runCommand(addGraphCommand, ["graph", "--admin", "127.0.0.1:1"]);
  t.regex(err, /^error: cannot ask the hub at 127\.0\.0\.1:1: connect ECONNREFUSED/);
  t.is(exitCode, 1);
});
