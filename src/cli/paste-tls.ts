import { X509Certificate } from "node:crypto";
import { relative } from "node:path";
import { certificateBlocks, readCertificates } from "../listen/certificates.ts";
import { createClients } from "../listen/client.ts";
import { peerNames } from "../listen/peer-names.ts";
import type { ListenerSettings } from "../listen/settings.ts";
import { endpointOf } from "./hub-address.ts";

const clientPurpose = "1.3.6.1.5.5.7.3.2";

/**
 * The options with which `weir check` calls a listener, for a person to paste. Where a certificate is required, the hub's
 * own does if it is one that may call; else its place is left to be filled in.
 */
export async function tlsOptions({ tls, clients, address }: ListenerSettings, cwd: string): Promise<readonly string[]> {
  if (tls === undefined) return [];
  const certificates = await readCertificates(tls);
  if ("flaws" in certificates) return ["--tls"];
  const { leaf } = certificates;
  const served = certificatesIn(certificates.cert);
  const isFrom = (authority: X509Certificate): boolean => served.at(-1)!.checkIssued(authority);
  const words: string[] = [];
  const isOfCa = certificatesIn(certificates.ca ?? "").some(isFrom);
  if (isOfCa) words.push("--ca", relative(cwd, tls.ca!));
  else if (isFrom(served.at(-1)!)) words.push("--ca", relative(cwd, tls.cert));
  else words.push("--tls");

  const { host } = endpointOf(address);
  const [name] = peerNames(leaf).dns;
  if (leaf.checkHost(host) === undefined && leaf.checkIP(host) === undefined && name !== undefined)
    words.push("--server-name", name);

  if (tls.clientAuth !== "required") return words;
  const purposes = leaf.keyUsage as readonly string[] | undefined;
  const mayCall =
    isOfCa &&
    (purposes === undefined || purposes.includes(clientPurpose)) &&
    (clients === undefined || createClients(clients)(peerNames(leaf))?.mayUse("stream") === true);
  const own = mayCall ? [relative(cwd, tls.cert), relative(cwd, tls.key)] : ["CLIENT.crt", "CLIENT.key"];
  return [...words, "--cert", own[0]!, "--key", own[1]!];
}

function certificatesIn(pem: string): X509Certificate[] {
  return certificateBlocks(pem).map((block) => new X509Certificate(block));
}
