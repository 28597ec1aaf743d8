import type { ServingInstance } from "../runtime/runtime.ts";
import type { Risk } from "../telemetry/ledger/risk.ts";
import type { Queues } from "../telemetry/queues/queues.ts";
import type { Observer } from "../util/observer.ts";

export interface RiskSources {
  readonly instances: readonly ServingInstance[];
  readonly queues: Pick<Queues, "risks">;
  /** Whether samples that are pushed are kept beside memory. */
  readonly keepsSamples: boolean;
  /** Told of instances that cannot say what they have. */
  readonly observer: Pick<Observer, "adapterCall">;
  /** How many entries of access logs were read and are not safe. */
  readonly unsafeEntries: () => number;
}

/** All places of a hub where something waits that would end with the process. */
export function risksOf({ instances, queues, keepsSamples, observer, unsafeEntries }: RiskSources): readonly Risk[] {
  const accessLog: Risk = {
    what: "record",
    adapter: "",
    get unsafe() {
      return unsafeEntries();
    },
  };
  const samples = instances.flatMap(({ entry: { name: adapter }, instance }): Risk[] => {
    if (instance.unexported === undefined || (instance.exported !== undefined && keepsSamples)) return [];
    return [
      {
        what: instance.exported === undefined ? "scraped_sample" : "pushed_sample",
        adapter,
        get unsafe() {
          try {
            const samples = instance.unexported!();
            return Number.isSafeInteger(samples) && samples > 0 ? samples : 0;
          } catch {
            observer.adapterCall(adapter, "metrics", "fault", 0);
            return 0;
          }
        },
      },
    ];
  });
  return [accessLog, ...queues.risks(), ...samples];
}
