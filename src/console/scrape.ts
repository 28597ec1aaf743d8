import type { Log } from "../sdk/index.ts";
import type { ExpositionFormat } from "../util/exposition.ts";
import type { HubView } from "./view.ts";

/** The text of one scrape: the hub's own metrics and what each instance exposes. An instance that fails costs only its own. */
export async function* scrape(hub: HubView, format: ExpositionFormat, log: Log): AsyncGenerator<string> {
  yield await hub.metrics(format);
  for (const { entry, instance } of hub.adapters()) {
    if (instance.expose === undefined) continue;
    let last = "\n";
    try {
      for await (const piece of instance.expose({ format })) {
        if (piece === "") continue;
        last = piece;
        yield piece;
      }
    } catch (error) {
      log.error({ adapter: entry.name, err: error }, `adapter ${entry.name} failed to expose its metrics`);
    }
    if (!last.endsWith("\n")) yield "\n";
  }
  if (format === "openmetrics") yield "# EOF\n";
}
