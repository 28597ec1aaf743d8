import type { AddressInfo } from "node:net";

/**
 * Whether a request to a listener of the loopback interface may come of a page in a browser, under a name of that page's
 * own which it has had resolved to this machine (DNS rebinding): to the browser it is a request to the page's origin. Such a
 * name stands in `Host`, which no page can change. Who calls by an address or as `localhost` is no such page.
 *
 * @param bound where the listener listens
 */
export function mayBeRebound(host: string | undefined, bound: AddressInfo | string | null): boolean {
  if (host === undefined || bound === null || typeof bound === "string") return false;
  if (!/^(?:127\.|::1$|::ffff:127\.)/.test(bound.address)) return false;
  return !/^(?:\[[0-9a-f:.]+\]|[\d.]+|(?:[^:]+\.)?localhost\.?)(?::\d+)?$/i.test(host);
}
