import type { AdapterEntry } from "../policy/snapshot.ts";
import type { Adapter } from "../sdk/index.ts";
import { WeirError } from "../util/weir-error.ts";
import { createInstance, type InstanceEnvironment, type ManagedInstance } from "./instance.ts";

/** The instances of a hub. Each has its users, the snapshots that hold it; one that nobody uses any more is closed. */
export class InstancePool {
  readonly #environment: InstanceEnvironment;
  /** How many snapshots use an instance. */
  readonly #users = new Map<ManagedInstance, number>();

  constructor(environment: InstanceEnvironment) {
    this.#environment = environment;
  }

  /** The instance of an entry, in use from now on: one that is there with the same configuration, or a new one. */
  async obtain(entry: AdapterEntry, folder: string): Promise<ManagedInstance> {
    for (const known of this.#users.keys()) {
      if (known.entry.name !== entry.name || known.entry.fingerprint !== entry.fingerprint) continue;
      this.#use(known);
      return known;
    }
    const made = await createInstance(entry, folder, this.#environment);
    this.#use(made);
    return made;
  }

  /** One user fewer. Those that nobody uses any more are closed, and answered. */
  async drop(instances: readonly ManagedInstance[], deadlineMs: number): Promise<readonly ManagedInstance[]> {
    const unused = instances.filter((instance) => {
      const left = (this.#users.get(instance) ?? 0) - 1;
      if (left > 0) this.#users.set(instance, left);
      // An instance that is not there was closed by force.
      return left === 0 && this.#users.delete(instance);
    });
    await Promise.all(unused.map((instance) => instance.close(deadlineMs)));
    return unused;
  }

  /** Closes all that are left, whoever uses them. */
  async close(deadlineMs: number): Promise<void> {
    await Promise.all([...this.#users.keys()].map((instance) => instance.close(deadlineMs)));
    this.#users.clear();
  }

  #use(instance: ManagedInstance): void {
    this.#users.set(instance, (this.#users.get(instance) ?? 0) + 1);
  }
}

/** Makes an instance beside the pool, of an adapter that needs no configuration: limits that lack their own are counted there. */
export async function createFallback(
  adapter: Adapter,
  folder: string,
  environment: InstanceEnvironment,
): Promise<ManagedInstance> {
  const config = await adapter.config["~standard"].validate({});
  if (config.issues) throw new WeirError("WEIR_ADAPTER_CONFIG", `${adapter.name} cannot be made without configuration`);
  const place = { file: "", line: 1, column: 1 };
  const entry = { name: "local", adapter, config: config.value, required: false, fingerprint: "", place };
  return createInstance(entry, folder, environment);
}
