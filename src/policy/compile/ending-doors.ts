import { nameList } from "../../listen/name-list.ts";
import type { ClientSettings, Listeners } from "../../listen/settings.ts";
import type { LimitRule } from "../snapshot.ts";

/** Doors whose answers tell the id of a decision, by where a limit is charged, and doors that take reports with one. */
const telling: Readonly<Record<LimitRule["at"], readonly string[]>> = {
  check: ["ext_authz", "stream", "http"],
  ratelimit: ["ratelimit"],
};
const taking = ["accesslog", "stream", "http", "mixer"];

/**
 * Why no report can end what requests hold of a limit, as far as `listen:` tells: its clients may not use a door that
 * tells decisions' ids, or none that takes reports with them. `undefined` where they may, and where any caller may.
 */
export function whyNeverEnded({ grpc, http }: Listeners, at: LimitRule["at"]): string | undefined {
  if (grpc.clients === undefined || http.clients === undefined) return undefined;
  const clients = [...grpc.clients, ...http.clients];
  const some = (doors: readonly string[], may: (client: ClientSettings, door: string) => boolean): boolean =>
    clients.some((client) => doors.some((door) => client.doors?.includes(door) !== false && may(client, door)));
  if (!some(telling[at], () => true))
    return `no client may use a door that tells decisions' ids (${telling[at].join(", ")})`;
  const attribute = at === "check" ? "check.decision_id" : "ratelimit.decision_id";
  // An access log has the id from the proxy itself.
  const maySay = (client: ClientSettings, door: string): boolean =>
    door === "accesslog" || nameList(client.attributes)(attribute);
  if (some(taking, maySay)) return undefined;
  return `no client may report ${attribute} at a door that takes reports (${taking.join(", ")})`;
}
