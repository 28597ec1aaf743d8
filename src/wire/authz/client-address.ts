import { Fault } from "../../attributes/fault.ts";
import { Ip, type Cidr } from "../../attributes/ip.ts";

/** Whether an address is one of the networks'. */
export function isTrusted(networks: readonly Cidr[], ip: Ip): boolean {
  return networks.some((network) => network.contains(ip));
}

/**
 * The address that a request came from, by the hops that proxies wrote (`X-Forwarded-For`), the nearest last: the
 * rightmost that is not itself a trusted proxy, since what stands left of it was written by nobody known. Where all
 * hops are trusted proxies, the first of them. `undefined` when there is no hop; a fault when the one that decides is
 * no address, so that nothing left of it is believed.
 */
export function clientAddress(hops: string, trusted: readonly Cidr[]): Ip | Fault | undefined {
  let nearest: Ip | undefined;
  for (let end = hops.length; end >= 0;) {
    const comma = end === 0 ? -1 : hops.lastIndexOf(",", end - 1);
    const hop = hops.slice(comma + 1, end).trim();
    end = comma;
    // A list may have empty elements (RFC 9110, 5.6.1.2).
    if (hop === "") continue;
    const ip = addressOf(hop);
    if (ip === undefined) return new Fault(`a hop is no address: ${JSON.stringify(hop.slice(0, 60))}`);
    if (!isTrusted(trusted, ip)) return ip;
    nearest = ip;
  }
  return nearest;
}

/** `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80` (RFC 7239, 6). */
function addressOf(hop: string): Ip | undefined {
  if (hop.length > 64) return undefined;
  const bracketed = /^\[([^\]]*)\](?::\d{1,5})?$/.exec(hop);
  if (bracketed !== null) {
    const ip = Ip.parse(bracketed[1]!);
    return bracketed[1]!.includes(":") ? ip : undefined;
  }
  return Ip.parse(/^([^:]*):\d{1,5}$/.exec(hop)?.[1] ?? hop);
}
