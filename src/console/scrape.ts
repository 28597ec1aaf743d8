import type { Exposition, Log } from "../sdk/index.ts";
import type { Timers } from "../util/timers.ts";
import { late, within } from "../util/within.ts";
import type { HubView } from "./view.ts";

/** How long an adapter may take for the next piece of its text: less than the 10 s that Prometheus waits for all. */
const maxPieceMs = 3000;

/** The text of one scrape: the hub's own metrics and what each instance exposes. An instance that fails costs only its own. */
export async function* scrape(hub: HubView, exposition: Exposition, log: Log, timers: Timers): AsyncGenerator<string> {
  const { format } = exposition;
  yield* hub.metrics(format);
  for (const { entry, instance } of hub.adapters()) {
    if (instance.expose === undefined) continue;
    let last = "\n";
    try {
      for await (const piece of pieces(instance.expose(exposition), timers)) {
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

/** The pieces of an adapter's text. Throws at one that is no text or does not come. */
async function* pieces(exposed: AsyncIterable<string> | Iterable<string>, timers: Timers): AsyncGenerator<string> {
  const iterator = Symbol.asyncIterator in exposed ? exposed[Symbol.asyncIterator]() : exposed[Symbol.iterator]();
  try {
    for (;;) {
      const coming = iterator.next();
      const next = coming instanceof Promise ? await within(coming, maxPieceMs, timers) : coming;
      if (next === late) throw new Error(`expose gave nothing for ${maxPieceMs} ms`);
      if (next.done === true) return;
      if (typeof next.value !== "string") throw new TypeError(`expose gave a piece that is no text`);
      yield next.value;
    }
  } finally {
    // Not waited for: a generator that hangs would not end either.
    void Promise.resolve(iterator.return?.()).catch(() => undefined);
  }
}
