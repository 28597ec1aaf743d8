import { accessLogOptions, httpAccessLog } from "./access-log.ts";
import { hubFilters, managerName, managerType, routeParts } from "./bootstrap.ts";
import { said, type Tree } from "./commented.ts";
import type { Descriptor } from "./descriptor.ts";
import { hubCluster } from "./hub-cluster.ts";
import type { PolicyReads } from "../proxy/reads.ts";
import type { EnvoySettings } from "./settings.ts";

/** What Kubernetes takes for a name (RFC 1123, 2.1). */
const label = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/**
 * Istio's resource that gives the sidecars of a service all parts of the configuration
 * (https://istio.io/latest/docs/reference/config/networking/envoy-filter/). Istio counts the messages of gRPC calls by
 * itself, so that is no part of it.
 */
export function envoyFilter(settings: EnvoySettings, reads: PolicyReads, descriptor: Descriptor): Tree {
  const told = (name: string): string | undefined => {
    const text = settings.attributes.get(name);
    return text !== undefined && label.test(text) ? text : undefined;
  };
  const service = told("destination.service.name");
  const namespace = told("destination.namespace");
  return {
    apiVersion: "networking.istio.io/v1alpha3",
    kind: "EnvoyFilter",
    metadata: { name: service === undefined ? "weir" : `weir-${service}`, ...(namespace && { namespace }) },
    spec: {
      ...(service !== undefined && {
        workloadSelector: said("The labels of the service's workloads.", { labels: { app: service } }),
      }),
      configPatches: patches(settings, reads, descriptor),
    },
  };
}

function patches(settings: EnvoySettings, reads: PolicyReads, descriptor: Descriptor): Tree[] {
  const context = "SIDECAR_INBOUND";
  const manager = { name: managerName };
  const beforeRouter = {
    context,
    listener: { filterChain: { filter: { ...manager, subFilter: { name: "envoy.filters.http.router" } } } },
  };
  return [
    said("The hub.", {
      applyTo: "CLUSTER",
      match: { context },
      patch: { operation: "ADD", value: hubCluster(settings) },
    }),
    ...hubFilters(settings, reads, descriptor).map((value) => ({
      applyTo: "HTTP_FILTER",
      match: beforeRouter,
      patch: { operation: "INSERT_BEFORE", value },
    })),
    said("What the service's requests are known by.", {
      applyTo: "VIRTUAL_HOST",
      match: { context },
      patch: { operation: "MERGE", value: routeParts(settings, descriptor) },
    }),
    said("Each request as a report to the hub.", {
      applyTo: "NETWORK_FILTER",
      match: { context, listener: { filterChain: { filter: manager } } },
      patch: {
        operation: "MERGE",
        value: {
          ...manager,
          typed_config: {
            "@type": managerType,
            access_log: [httpAccessLog(settings, reads)],
            ...(settings.ongoingMs !== undefined && {
              access_log_options: accessLogOptions("flush_access_log_on_new_request", settings.ongoingMs),
            }),
          },
        },
      },
    }),
  ];
}
