import { strict as assert } from "node:assert";
import type { Span } from "../span.ts";
import type { ContractTest } from "./test-adapter.ts";

/** How the tests see what an instance has delivered. */
export interface SpansOptions {
  /** The identifiers of the spans that reached the backend since the last call, in order. */
  delivered(): readonly string[] | Promise<readonly string[]>;
  /** Makes the backend refuse the next batch and ask for so long a pause, where it can ask for one. */
  refuseOnce?(retryAfterMs: number): void;
}

/** What `spans` must keep to. */
export function spansContract(options: SpansOptions): ContractTest[] {
  return [
    {
      title: "delivers every span, in order",
      async run({ instance, host, call, close }) {
        await options.delivered();
        const spans = Array.from({ length: 25 }, (_, i) => span(i, host.now()));
        for (const batch of [spans.slice(0, 1), spans.slice(1, 20), spans.slice(20)]) {
          const exported = await instance.spans!(batch, call);
          assert.ok(exported === undefined || exported.delivered === batch.length, JSON.stringify(exported));
        }
        await close();
        // A backend may put spans of one service together: each of these services keeps its order.
        const inOrder = (ids: readonly string[]): string[] => [
          ...ids.filter((id) => Number.parseInt(id, 16) % 2 === 0),
          ...ids.filter((id) => Number.parseInt(id, 16) % 2 === 1),
        ];
        assert.deepEqual(inOrder(await options.delivered()), inOrder(spans.map(({ spanId }) => spanId)));
      },
    },
    {
      title: "hands on how long the backend asks to be left alone, for spans too, where it can ask",
      async run({ instance, host, call }) {
        if (options.refuseOnce === undefined) return;
        options.refuseOnce(7000);
        const spans = [span(0, host.now())];
        const exported = await instance.spans!(spans, call);
        assert.ok(exported !== undefined, "a refused batch was told to be delivered");
        assert.deepEqual([exported.delivered, exported.retry, exported.retryAfterMs], [0, true, 7000]);
        assert.notEqual(exported.reason, "");
        const again = await instance.spans!(spans, call);
        assert.ok(again === undefined || again.delivered === 1, JSON.stringify(again));
      },
    },
    {
      title: "takes an empty batch of spans",
      async run({ instance, call }) {
        const exported = await instance.spans!([], call);
        assert.ok(exported === undefined || exported.delivered === 0);
      },
    },
  ];
}

function span(i: number, endMs: number): Span {
  return {
    traceId: "4bf92f3577b34da6a3ce929d0e0e4736",
    spanId: (i + 1).toString(16).padStart(16, "0"),
    ...(i % 3 > 0 && { parentId: "00f067aa0ba902b7" }),
    name: `step ${i}\n"quoted" ünï`,
    kind: i % 2 === 0 ? "client" : "server",
    startMs: endMs - i,
    endMs,
    failed: i % 5 === 4,
    service: { name: i % 2 === 0 ? "reviews" : "ratings" },
    attributes: { number: i, text: "ünï", list: [1, null], nested: { yes: true } },
  };
}
