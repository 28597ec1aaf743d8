import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "./clients.ts";
import { leashed } from "./leash.ts";
import { peers } from "./peers.ts";
import type { Gap } from "./programs.ts";

/** A Prometheus that scrapes one hub. */
export interface Prometheus {
  /** The values of an instant query, now; rejects what Prometheus calls a bad query. */
  query(text: string): Promise<number[]>;
  /** The exemplars of the series that a query rests on, of the last hour. */
  exemplars(text: string): Promise<PrometheusExemplar[]>;
  dispose(): void;
}

export interface PrometheusExemplar {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: string;
  /** Seconds since 1970. */
  readonly timestamp: number;
}

/** Starts Prometheus with the admin listener of a hub as its one target, scraped twice a second. */
export async function startPrometheus(target: string): Promise<Prometheus | Gap> {
  const found = await peers.prometheus();
  if ("gap" in found) return found;
  const folder = mkdtempSync(join(tmpdir(), "weir-prometheus-"));
  const config = join(folder, "prometheus.yml");
  await writeFile(
    config,
    JSON.stringify({
      global: { scrape_interval: "500ms", scrape_timeout: "500ms" },
      scrape_configs: [{ job_name: "weir", static_configs: [{ targets: [target] }] }],
    }),
  );
  const args = [
    `--config.file=${config}`,
    "--enable-feature=exemplar-storage",
    `--storage.tsdb.path=${join(folder, "data")}`,
    "--web.listen-address=127.0.0.1:0",
  ];
  const child = spawn(...leashed(found.path, args), {
    cwd: folder,
    env: { ...process.env, ...found.env },
    stdio: ["ignore", "ignore", "pipe"],
  });
  let stderr = "";
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  let ended = false;
  void once(child, "close").then(() => (ended = true));
  const dispose = () => {
    child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  let address = "";
  const query = async (text: string): Promise<number[]> => {
    const response = await fetch(`http://${address}/api/v1/query`, {
      method: "POST",
      body: new URLSearchParams({ query: text }),
    });
    const answer = (await response.json()) as {
      status: string;
      error?: string;
      data?: { resultType: string; result: { value: [number, string] }[] };
    };
    if (answer.status !== "success") throw new Error(`${answer.error}: ${text}`);
    return answer.data!.result.map(({ value }) => Number(value[1]));
  };
  const exemplars = async (text: string): Promise<PrometheusExemplar[]> => {
    const now = Date.now() / 1000;
    const parameters = { query: text, start: String(now - 3600), end: String(now + 60) };
    const response = await fetch(`http://${address}/api/v1/query_exemplars?${new URLSearchParams(parameters)}`);
    const answer = (await response.json()) as { data: readonly { exemplars: readonly PrometheusExemplar[] }[] };
    return answer.data.flatMap((series) => series.exemplars);
  };
  try {
    await until(async () => {
      if (ended) throw new Error(`prometheus ended:\n${stderr}`);
      address = /msg="Listening on".* address=([0-9.:]+)/.exec(stderr)?.[1] ?? "";
      if (address === "") return false;
      const ready = await fetch(`http://${address}/-/ready`).catch(() => undefined);
      return ready?.status === 200 && (await query("up == 1")).length === 1;
    });
    return { query, exemplars, dispose };
  } catch (error) {
    dispose();
    throw error;
  }
}
