import { readCertificates } from "../../listen/certificates.ts";
import type { Listeners } from "../../listen/settings.ts";
import { readTokens } from "../../listen/tokens.ts";
import type { RawListen } from "../schema/listen.ts";
import type { Reading } from "../shape/shape.ts";

/** Reads the files that `listen:` names and tells, where they are named, what is wrong with them. */
export async function tryCredentials(
  raw: RawListen | undefined,
  listeners: Listeners,
  reading: Reading,
  now: () => number = Date.now,
): Promise<void> {
  for (const name of ["grpc", "http", "admin"] as const) {
    const { tls } = listeners[name];
    const named = raw?.[name]?.tls;
    if (tls === undefined || named === undefined) continue;
    const found = await readCertificates(tls);
    if ("flaws" in found) {
      for (const { key, message, hint } of found.flaws) {
        reading.tell(named[key]?.node ?? named.node, { code: "WEIR_CERTIFICATE", message, hint });
      }
    } else if (found.notAfterMs < now()) {
      const message = `the certificate expired on ${new Date(found.notAfterMs).toISOString().slice(0, 10)}`;
      reading.tell(named.cert!.node, { code: "WEIR_CERTIFICATE", severity: "warning", message });
    }
  }
  const { tokens } = listeners.admin;
  const named = raw?.admin?.tokens;
  if (tokens === undefined || named === undefined) return;
  const { people, flaws } = await readTokens(tokens);
  for (const { path, message } of flaws)
    reading.tell(named.node, { code: "WEIR_TOKEN", message: `${path}: ${message}` });
  if (people.length === 0 && flaws.length === 0) {
    reading.tell(named.node, {
      code: "WEIR_TOKEN",
      severity: "warning",
      message: "there is no token: nobody can use it",
    });
  }
}
