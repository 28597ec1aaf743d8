import type { Bag } from "../../attributes/bag.ts";

const spiffe = "spiffe://";

/** An identity as Istio writes it: a SPIFFE id without its scheme, anything else as it is. */
export function stripSpiffe(identity: string): string {
  return identity.startsWith(spiffe) ? identity.slice(spiffe.length) : identity;
}

/**
 * Namespace and service account of an identity of Istio's form, `TRUST_DOMAIN/ns/NAMESPACE/sa/ACCOUNT`; `undefined` for
 * any other.
 */
function workloadOfPrincipal(
  principal: string,
): { readonly namespace: string; readonly serviceAccount: string } | undefined {
  const ns = principal.indexOf("/ns/");
  if (ns <= 0 || principal.indexOf("/") < ns) return undefined;
  const sa = principal.indexOf("/sa/", ns + 4);
  if (sa <= ns + 4) return undefined;
  const namespace = principal.slice(ns + 4, sa);
  const serviceAccount = principal.slice(sa + 4);
  if (serviceAccount === "" || namespace.includes("/") || serviceAccount.includes("/")) return undefined;
  return { namespace, serviceAccount };
}

/** Who a certificate says somebody is, as Istio tells it. */
export interface Principal {
  /** The identity without `spiffe://`. */
  readonly name: string;
  /** Of a SPIFFE id of Istio's form. */
  readonly workload?: { readonly namespace: string; readonly serviceAccount: string } | undefined;
}

/**
 * The principal of an identity that was proved: the URI of a certificate, else its DNS name or subject. Only a SPIFFE id
 * tells of namespace and service account: a subject may hold any text.
 */
export function principalOf(identity: string): Principal {
  const name = stripSpiffe(identity);
  return name === identity ? { name } : { name, workload: workloadOfPrincipal(name) };
}

/** Where it goes who somebody is. A slot of -1: no rule reads it. */
export interface PrincipalSlots {
  readonly principal: number;
  readonly user: number;
  readonly namespace: number;
  readonly serviceAccount: number;
}

/** Puts a principal into a bag. What its name does not tell stays as it is. */
export function putPrincipal(bag: Bag, slots: PrincipalSlots, { name, workload }: Principal): void {
  if (slots.principal >= 0) bag.set(slots.principal, name);
  if (slots.user >= 0) bag.set(slots.user, name);
  if (workload === undefined) return;
  if (slots.namespace >= 0) bag.set(slots.namespace, workload.namespace);
  if (slots.serviceAccount >= 0) bag.set(slots.serviceAccount, workload.serviceAccount);
}
