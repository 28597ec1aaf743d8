import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Pace } from "./bench.ts";
import { grpcMessage } from "./frames.ts";
import { cores, onPath, pinned, type ServerProcess } from "./server-process.ts";
import { rate, type Row } from "./table.ts";

const scenario = "the same by h2load: one message, repeated";

/** What h2load says of the same two servers. It can only repeat one body, which is kinder to a server than life is. */
export async function h2load(pace: Pace, hub: ServerProcess, echo: ServerProcess, message: Uint8Array): Promise<Row[]> {
  const empty = { weir: "", beside: "", figure: "", target: "" };
  if (!onPath("h2load")) return [{ scenario, ...empty, figure: "h2load is not here: apt install nghttp2-client" }];
  const folder = mkdtempSync(join(tmpdir(), "weir-h2load-"));
  try {
    const body = join(folder, "body");
    writeFileSync(body, grpcMessage(message));
    const weir = await measure(hub.ready["grpc"]!, body, pace);
    const beside = await measure(echo.ready["grpc"]!, body, pace);
    return [
      { scenario, weir: rate(weir), beside: `${rate(beside)} echo`, figure: (weir / beside).toFixed(2), target: "" },
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measure(address: string, body: string, { warmMs, sliceMs }: Pace): Promise<number> {
  const seconds = (ms: number): string => String(Math.ceil(ms / 1000));
  const headers = ["content-type: application/grpc", "te: trailers"].flatMap((header) => ["-H", header]);
  const load = ["-c", "8", "-m", "32", "-t", "1", "-D", seconds(2 * sliceMs), "--warm-up-time", seconds(warmMs)];
  const url = `http://${address}/istio.mixer.v1.Mixer/Check`;
  const args = [...load, "-d", body, ...headers, url];
  const pin = ["-c", String(cores.load), "h2load"];
  const run = promisify(execFile);
  const { stdout } = pinned ? await run("taskset", [...pin, ...args]) : await run("h2load", args);
  const found = /finished in [^,]+, ([\d.]+) req\/s/.exec(stdout);
  if (found === null) throw new Error(`h2load said something unexpected:\n${stdout}`);
  return Number(found[1]);
}
