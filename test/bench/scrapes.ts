import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { peers } from "../e2e/peers.ts";
import type { Scrapes } from "./scrape-series.ts";
import { runOnLoadCore, serverFlags } from "./server-process.ts";
import type { Row } from "./table.ts";

const here = dirname(fileURLToPath(import.meta.url));

/** What a scrape of many series takes, and how long it holds up everything else. */
export async function scrapes(): Promise<Row[]> {
  const curl = await peers.curl();
  if ("gap" in curl) throw new Error(curl.gap);
  const script = join(here, "scrape-series.js");
  const { wallMs, cpuMs, heldUpMs, bytes } = await runOnLoadCore<Scrapes>([...serverFlags, script, curl.path]);
  return [
    {
      scenario: "Scrape of 100,000 series with 16 labels",
      weir: `${Math.round(bytes / 1e6)} MB, ${Math.round(wallMs)} ms until curl, on the same core, has it`,
      beside: "",
      figure: `${Math.round(cpuMs)} ms of CPU`,
      target: "under 250 ms",
      met: cpuMs < 250,
    },
    {
      scenario: "the same: longest time between two turns for checks",
      weir: `${heldUpMs.toFixed(1)} ms of CPU`,
      beside: "",
      figure: `${heldUpMs.toFixed(1)} ms`,
      target: "at most 20 ms",
      met: heldUpMs <= 20,
    },
  ];
}
