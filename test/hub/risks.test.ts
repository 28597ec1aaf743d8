import test from "ava";
import { risksOf, type RiskSources } from "../../src/hub/risks.ts";
import { FakeObserver } from "../telemetry/fakes.ts";

type Serving = RiskSources["instances"][number];

const serving = (name: string, instance: object): Serving => ({ entry: { name }, instance }) as unknown as Serving;

const noSamples = { queues: { risks: () => [] }, keepsSamples: false, unsafeEntries: () => 0 };

const shown = (sources: RiskSources): unknown[] =>
  risksOf(sources).map((risk) => [risk.what, risk.adapter, risk.unsafe]);

test("samples are of a scrape or of an export, and those that a buffer keeps are no risk", (t) => {
  const observer = new FakeObserver();
  const instances = [
    serving("prometheus", { unexported: () => 3 }),
    serving("otlp", { unexported: () => 4, exported: async () => undefined }),
    serving("own", {}),
  ];
  const entries = ["record", "", 5];
  const scraped = ["scraped_sample", "prometheus", 3];
  const sources = { ...noSamples, instances, observer, unsafeEntries: () => 5 };
  t.deepEqual(shown(sources), [entries, scraped, ["pushed_sample", "otlp", 4]]);
  t.deepEqual(shown({ ...sources, keepsSamples: true }), [entries, scraped]);
});

test("an instance that says nothing sensible, or throws, has nothing at risk", (t) => {
  const observer = new FakeObserver();
  const broken = (): never => {
    throw new Error("broken");
  };
  const instances = [NaN, -1, 1.5, Infinity, "7"].map((value) => serving("own", { unexported: () => value }));
  const sources = { ...noSamples, instances: [...instances, serving("broken", { unexported: broken })], observer };
  for (const [, , unsafe] of shown(sources) as [string, string, number][]) t.is(unsafe, 0);
  t.deepEqual(observer.take(), ["adapter broken metrics fault"]);
});
