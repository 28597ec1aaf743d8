import type { Bag } from "./bag.ts";
import { Fault } from "./fault.ts";
import type { Layout } from "./layout.ts";
import { type QueryParams, queryParams } from "./query-params.ts";
import { setMap } from "./set-map.ts";
import { normalisedPath } from "./url-path.ts";
import type { Value } from "./value.ts";

const urlPath = "request.url_path";
const queryParameters = "request.query_params";
const path = "request.path";
/** What its caller writes, and others look up without regard to case. */
const hostNames = ["request.host", "connection.requested_server_name"];

const severalValues = new Fault(
  "the parameter comes with several values, of which some services take the first, some the last",
);

/**
 * Makes what completes the bags of a layout before they are judged or reported, the same at every door; `undefined`
 * where no rule reads what it would fill in.
 *
 * - `request.host` and `connection.requested_server_name` are put into lower case, without a dot at their end: names of
 *   hosts have no case (RFC 9110, 4.2.3). Several, as Envoy joins them of several headers, are a fault.
 * - `request.url_path` is put into its one form ({@link normalisedPath}); where a request does not bring it, it is made
 *   of `request.path`.
 * - `request.query_params`, where a request does not bring them, are made of `request.path`. One that comes with several
 *   values is a fault to who reads it by its name.
 *
 * After that comes `produce`, which makes what adapters know of a request.
 *
 * What is made of another attribute counts in {@link Bag.reads} as reading that one.
 */
export function completionOf(layout: Layout, produce?: (bag: Bag) => void): ((bag: Bag) => void) | undefined {
  const complete = ownCompletionOf(layout);
  if (complete === undefined || produce === undefined) return complete ?? produce;
  return (bag) => {
    complete(bag);
    produce(bag);
  };
}

function ownCompletionOf(layout: Layout): ((bag: Bag) => void) | undefined {
  const hosts = hostNames.flatMap((name) => layout.find(name) ?? []);
  const ofPath = pathCompletionOf(layout);
  if (hosts.length === 0) return ofPath;
  return (bag) => {
    for (const host of hosts) {
      const given = bag.peek(host);
      const normalised = typeof given === "string" ? normalisedHost(given) : given;
      if (normalised !== given) bag.set(host, normalised);
    }
    ofPath?.(bag);
  };
}

function pathCompletionOf(layout: Layout): ((bag: Bag) => void) | undefined {
  const from = layout.find(path);
  const pathSlot = layout.find(urlPath);
  const paramsSlot = layout.find(queryParameters);
  if (from === undefined || (pathSlot === undefined && paramsSlot === undefined)) return undefined;
  return (bag) => {
    const target = bag.peek(from);
    if (pathSlot !== undefined) {
      if (bag.isGiven(pathSlot)) {
        const given = bag.peek(pathSlot);
        const normalised = typeof given === "string" ? normalisedPath(given) : given;
        if (normalised !== given) bag.set(pathSlot, normalised);
      } else {
        bag.set(pathSlot, typeof target === "string" ? normalisedPath(target) : faultOf(target));
        bag.markDerived(pathSlot);
      }
    }
    if (paramsSlot !== undefined && !bag.isGiven(paramsSlot)) {
      setParams(bag, paramsSlot, typeof target === "string" ? queryParams(target) : faultOf(target));
      bag.markDerived(paramsSlot);
    }
  };
}

function setParams(bag: Bag, slot: number, params: QueryParams | Fault | undefined): void {
  const keys = bag.layout.keysOf(queryParameters);
  if (params === undefined || params instanceof Fault) {
    bag.set(slot, params);
    for (const key of keys?.values() ?? []) bag.set(key, params);
    return;
  }
  setMap(bag, queryParameters, params.first);
  for (const name of params.ambiguous) {
    const key = keys?.get(name);
    if (key !== undefined) bag.set(key, severalValues);
  }
}

function faultOf(source: Value | Fault | undefined): Fault | undefined {
  return source instanceof Fault ? source : undefined;
}

const severalHosts = new Fault(
  "several hosts are named, of which some services take the first, some the last, some none",
);

/** A host as policies compare it: `Shop.Example.:8443` is `shop.example:8443`. */
function normalisedHost(host: string): string | Fault {
  if (!/[A-Z,]|\.(?::|$)/.test(host)) return host;
  if (host.includes(",")) return severalHosts;
  return host.toLowerCase().replace(/\.(?=(?::\d*)?$)/, "");
}
