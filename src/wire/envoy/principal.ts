const spiffe = "spiffe://";

/** An identity as Istio writes it: a SPIFFE id without its scheme, anything else as it is. */
export function stripSpiffe(identity: string): string {
  return identity.startsWith(spiffe) ? identity.slice(spiffe.length) : identity;
}

/**
 * Namespace and service account of an identity of Istio's form, `TRUST_DOMAIN/ns/NAMESPACE/sa/ACCOUNT`; `undefined` for
 * any other.
 */
export function workloadOfPrincipal(
  principal: string,
): { readonly namespace: string; readonly serviceAccount: string } | undefined {
  const ns = principal.indexOf("/ns/");
  if (ns <= 0) return undefined;
  const sa = principal.indexOf("/sa/", ns + 4);
  if (sa <= ns + 4) return undefined;
  const namespace = principal.slice(ns + 4, sa);
  const serviceAccount = principal.slice(sa + 4);
  if (serviceAccount === "" || namespace.includes("/") || serviceAccount.includes("/")) return undefined;
  return { namespace, serviceAccount };
}
