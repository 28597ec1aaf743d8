import type { SpanKind, SpanService } from "../../sdk/index.ts";
import type { RequestFacts } from "./request-facts.ts";
import { isServer } from "./span-conventions.ts";

/** The most services that are remembered: a mesh has fewer workload instances at work at once. */
const maxServices = 10_000;

/** The services that spans were seen at, each one object, by which exporters tell them apart at little cost. */
export class Services {
  readonly #known = new Map<string, SpanService>();

  /** The service of the side that reports; `name` where a rule says so. */
  of(facts: RequestFacts, kind: SpanKind, name: string | undefined): SpanService {
    return isServer(kind)
      ? this.#service(
          name ?? facts.text("destination.workload.name") ?? facts.text("destination.service.name"),
          facts.text("destination.workload.namespace") ?? facts.text("destination.service.namespace"),
          facts.text("destination.name"),
        )
      : this.#service(
          name ?? facts.text("source.workload.name"),
          facts.text("source.workload.namespace"),
          facts.text("source.name"),
        );
  }

  #service(name = "unknown_service", namespace: string | undefined, instance: string | undefined): SpanService {
    const key = `${name}\n${namespace ?? ""}\n${instance ?? ""}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    if (this.#known.size >= maxServices) this.#known.clear();
    const service = {
      name,
      ...(namespace !== undefined && { namespace }),
      ...(instance !== undefined && { instance }),
    };
    this.#known.set(key, service);
    return service;
  }
}
