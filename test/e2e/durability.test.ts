import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import test, { type ExecutionContext } from "ava";
import { startHub, writeFolder, type Hub } from "./hub.ts";

const policy = `
policy: kept
report:
  - { log: kept, fields: { n: request.path }, to: out }
`;

/** Everything that reached the file of the exporter, by line. */
function arrived(folder: string): { readonly n: string; readonly id: string }[] {
  try {
    return readFileSync(join(folder, "out.log"), "utf8")
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as { n: string; id: string });
  } catch {
    return [];
  }
}

/** Reports records until it is told to stop, and notes which were acknowledged. A hub that is gone is asked again. */
function load(address: () => string, callers: number) {
  const acknowledged = new Set<string>();
  let stopped = false;
  let next = 0;
  const caller = async (): Promise<void> => {
    while (!stopped) {
      const numbers = Array.from({ length: 25 }, () => String(next++));
      try {
        const response = await fetch(`http://${address()}/v1/report`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ reports: numbers.map((n) => ({ "request.path": n })) }),
          signal: AbortSignal.timeout(5000),
        });
        await response.arrayBuffer();
        if (response.status === 200) for (const n of numbers) acknowledged.add(n);
        else await setTimeout(5);
      } catch {
        await setTimeout(5);
      }
    }
  };
  const done = Promise.all(Array.from({ length: callers }, caller));
  return {
    acknowledged,
    async stop() {
      stopped = true;
      await done;
    },
  };
}

/** Waits until everything that was acknowledged has arrived. What arrived twice must be recognisable. */
async function allArrived(t: ExecutionContext, folder: string, acknowledged: ReadonlySet<string>): Promise<void> {
  let missing = acknowledged.size;
  for (let left = 600; left > 0 && missing > 0; left--) {
    const found = new Set(arrived(folder).map(({ n }) => n));
    missing = [...acknowledged].filter((n) => !found.has(n)).length;
    if (missing > 0) await setTimeout(50);
  }
  t.is(missing, 0, `of ${acknowledged.size} acknowledged records did not arrive`);
  const ids = new Map<string, string>();
  const lines = arrived(folder);
  for (const { n, id } of lines) {
    if (ids.has(n)) t.is(ids.get(n), id, `record ${n} arrived twice as two`);
    ids.set(n, id);
  }
  t.log(`${acknowledged.size} records acknowledged, ${lines.length - ids.size} arrived twice`);
}

async function killedUnderLoad(t: ExecutionContext, files: Record<string, string>, kills: number): Promise<void> {
  const folder = await writeFolder(files);
  let hub: Hub = await startHub(files, { folder });
  t.teardown(() => hub.dispose());
  const { acknowledged, stop } = load(() => hub.http, 4);
  for (let kill = 0; kill < kills; kill++) {
    const before = acknowledged.size;
    while (acknowledged.size < before + 100) await setTimeout(2);
    // Anywhere between two moments of the hub.
    await setTimeout(Math.random() * 60);
    hub.process.kill("SIGKILL");
    await hub.exit;
    hub = await startHub(files, { folder });
  }
  await stop();
  t.true(acknowledged.size >= kills * 100);
  await allArrived(t, folder, acknowledged);
}

test("with buffer: disk a hub that is killed again and again loses nothing that it acknowledged", async (t) => {
  const files = {
    "weir.yaml": `telemetry: { buffer: disk }\nadapters: { out: { adapter: log, to: out.log } }\n`,
    "policies/kept.yaml": policy,
  };
  await killedUnderLoad(t, files, 6);
});
