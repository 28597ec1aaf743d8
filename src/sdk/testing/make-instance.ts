import type { StandardSchemaV1 } from "@standard-schema/spec";
import type { Adapter, Call, Capability, Instance } from "../adapter.ts";
import type { Inputs } from "../input.ts";
import type { Outputs } from "../output.ts";
import { fakeHost } from "./fake-host.ts";
import type { FakeHost } from "./fake-host.ts";

/** Makes an instance as the hub does: the configuration is validated and gets its defaults first. Throws when it is not valid. */
export async function makeInstance<
  P extends Capability,
  I extends Inputs,
  C extends StandardSchemaV1,
  O extends Outputs = Outputs,
>(
  adapter: Adapter<P, I, C, O>,
  config: StandardSchemaV1.InferInput<C>,
  host: FakeHost = fakeHost(),
): Promise<Instance<P, I, O>> {
  const result = await adapter.config["~standard"].validate(config);
  if (result.issues) {
    throw new TypeError(`the configuration is not valid: ${result.issues.map((issue) => issue.message).join("; ")}`);
  }
  const instance = await adapter.create(result.value as StandardSchemaV1.InferOutput<C>, host);
  if (typeof instance !== "object" || instance === null) throw new TypeError(`create answered ${String(instance)}`);
  return instance;
}

/** What the hub hands over beside the input of a call: a signal, which the given controller aborts. */
export function fakeCall(controller: AbortController = new AbortController()): Call {
  return { signal: controller.signal };
}
