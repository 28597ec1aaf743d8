import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { runOnLoadCore } from "./server-process.ts";
import type { SpanCosts } from "./spans.ts";
import type { Row } from "./table.ts";

const targetUs = 2;

/** What a span of a `span` rule costs, made, queued and encoded for OTLP. */
export async function spanRows(): Promise<Row[]> {
  const script = join(dirname(fileURLToPath(import.meta.url)), "spans.js");
  const { makeNs, encodeNs, bytes } = await runOnLoadCore<SpanCosts>([script]);
  const us = (ns: number): string => `${(ns / 1000).toFixed(2)} us`;
  const queuedUs = encodeNs / 1000;
  return [
    {
      scenario: "OTLP spans, 14 attributes, batches of 512",
      weir: `${us(encodeNs)} of CPU to queue and encode one, ${Math.round(bytes)} bytes`,
      beside: `${us(makeNs)} to make it of a record`,
      figure: `${queuedUs.toFixed(2)} us`,
      target: `at most ${targetUs} us each`,
      met: queuedUs <= targetUs,
    },
  ];
}
