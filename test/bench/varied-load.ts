import type { Bench, Pace } from "./bench.ts";
import type { LoadPlan } from "./load.ts";
import { refusedPath } from "./policies.ts";
import type { CheckOptions } from "./requests.ts";
import type { ServerProcess } from "./server-process.ts";

/** The same chance in every run, so that figures of two runs are about the same messages. */
export const seed = 20_260_101;
export const connections = 8;
export const messages = 10_000;

/** Every message just once. */
export const once: Pace = { rounds: 0, sliceMs: 0, warmMs: 0, aloneMs: 0 };

export function target(name: string, server: ServerProcess): LoadPlan["targets"][number] {
  return { name, address: server.ready["grpc"]!, pid: server.pid };
}

/** Sends requests that the rules must refuse, so that a hub that judges nothing cannot look fast. */
export async function proveRules(
  bench: Bench,
  server: ServerProcess,
  check: CheckOptions,
  door: "check" | "extAuthz" = "check",
): Promise<void> {
  const wrong = { ...check, count: 200, instead: { "request.url_path": refusedPath } };
  const asked =
    door === "check"
      ? ({ messages: { check: wrong }, expect: "refuse" } as const)
      : ({ messages: { extAuthz: wrong }, expect: "deny" } as const);
  const plan = { ...asked, targets: [target("weir", server)] };
  const { targets } = await bench.load({
    ...plan,
    connections: 1,
    inFlight: 8,
    ...once,
  });
  if (targets[0]!.failed > 0) throw new Error(`the hub does not refuse what its rules refuse: ${targets[0]!.failure}`);
}
