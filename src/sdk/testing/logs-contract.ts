import { strict as assert } from "node:assert";
import type { JsonValue, LogEntry } from "../log.ts";
import type { ContractTest } from "./test-adapter.ts";

/** How the tests see what an instance has delivered. */
export interface LogsOptions {
  /** The names and fields of the entries that reached the backend since the last call, in order. */
  delivered(): readonly Delivered[] | Promise<readonly Delivered[]>;
  /** Makes the backend refuse the next batch and ask for so long a pause, where it can ask for one. */
  refuseOnce?(retryAfterMs: number): void;
}

interface Delivered {
  readonly name: string;
  readonly fields: Readonly<Record<string, JsonValue>>;
}

/** What `logs` must keep to. */
export function logsContract(options: LogsOptions): ContractTest[] {
  const entry = (i: number, timeMs: number): LogEntry => ({
    name: "contract",
    timeMs,
    severity: "info",
    fields: { number: i, text: `line ${i}\n"quoted" ünï`, list: [1, null], nested: { yes: true } },
  });
  return [
    {
      title: "delivers every entry, in order",
      async run({ instance, host, call, close }) {
        await options.delivered();
        const entries = Array.from({ length: 25 }, (_, i) => entry(i, host.now()));
        for (const batch of [entries.slice(0, 1), entries.slice(1, 20), entries.slice(20)]) {
          const exported = await instance.logs!(batch, call);
          assert.ok(exported === undefined || exported.delivered === batch.length, JSON.stringify(exported));
        }
        await close();
        assert.deepEqual(
          (await options.delivered()).map(({ name, fields }) => ({ name, fields })),
          entries.map(({ name, fields }) => ({ name, fields })),
        );
      },
    },
    {
      title: "hands on how long the backend asks to be left alone, where it can ask",
      async run({ instance, host, call }) {
        if (options.refuseOnce === undefined) return;
        options.refuseOnce(7000);
        const entries = [entry(0, host.now())];
        const exported = await instance.logs!(entries, call);
        assert.ok(exported !== undefined, "a refused batch was told to be delivered");
        assert.deepEqual([exported.delivered, exported.retry, exported.retryAfterMs], [0, true, 7000]);
        assert.notEqual(exported.reason, "");
        const again = await instance.logs!(entries, call);
        assert.ok(again === undefined || again.delivered === 1, JSON.stringify(again));
      },
    },
    {
      title: "takes an empty batch",
      async run({ instance, call }) {
        const exported = await instance.logs!([], call);
        assert.ok(exported === undefined || exported.delivered === 0);
      },
    },
  ];
}
