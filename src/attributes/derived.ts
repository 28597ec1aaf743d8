import type { Bag } from "./bag.ts";
import { Fault } from "./fault.ts";
import type { Layout } from "./layout.ts";
import { queryParams } from "./query-params.ts";
import { setMap } from "./set-map.ts";
import { normalisedPath } from "./url-path.ts";
import type { Value } from "./value.ts";

const urlPath = "request.url_path";
const queryParameters = "request.query_params";
const path = "request.path";

/**
 * Makes what completes the bags of a layout before they are judged or reported, the same at every door; `undefined`
 * where no rule reads what it would fill in.
 *
 * - `request.url_path` is put into its one form ({@link normalisedPath}); where a request does not bring it, it is made
 *   of `request.path`.
 * - `request.query_params`, where a request does not bring them, are made of `request.path`.
 *
 * What is made of another attribute counts in {@link Bag.reads} as reading that one.
 */
export function completionOf(layout: Layout): ((bag: Bag) => void) | undefined {
  const from = layout.find(path);
  const pathSlot = layout.find(urlPath);
  const paramsSlot = layout.find(queryParameters);
  if (from === undefined || (pathSlot === undefined && paramsSlot === undefined)) return undefined;
  return (bag) => {
    if (pathSlot !== undefined) {
      if (bag.isGiven(pathSlot)) {
        const given = bag.peek(pathSlot);
        const normalised = typeof given === "string" ? normalisedPath(given) : given;
        if (normalised !== given) bag.set(pathSlot, normalised);
      } else {
        bag.set(pathSlot, made(bag.peek(from), normalisedPath));
        bag.markDerived(pathSlot);
      }
    }
    if (paramsSlot !== undefined && !bag.isGiven(paramsSlot)) {
      const params = made(bag.peek(from), (target) => queryParams(queryOf(target)));
      if (params instanceof Map) setMap(bag, queryParameters, params);
      else {
        bag.set(paramsSlot, params);
        for (const key of layout.keysOf(queryParameters)?.values() ?? []) bag.set(key, params);
      }
      bag.markDerived(paramsSlot);
    }
  };
}

function made(source: Value | Fault | undefined, make: (text: string) => Value | Fault): Value | Fault | undefined {
  return typeof source === "string" ? make(source) : source instanceof Fault ? source : undefined;
}

/** What stands between the first `?` and a fragment. */
function queryOf(target: string): string {
  const [beforeFragment] = target.split("#", 1);
  const start = beforeFragment!.indexOf("?");
  return start < 0 ? "" : beforeFragment!.slice(start + 1);
}
