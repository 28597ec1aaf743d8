import test from "ava";
import { serviceOfCluster, type Service } from "../../../src/wire/envoy/service-name.ts";

const reviews = { host: "reviews.bookinfo.svc.cluster.local", name: "reviews", namespace: "bookinfo" };

const clusters: readonly (readonly [cluster: string, service: Service])[] = [
  ["outbound|9080|v1|reviews.bookinfo.svc.cluster.local", { direction: "outbound", ...reviews }],
  ["outbound|9080||reviews.bookinfo.svc.cluster.local", { direction: "outbound", ...reviews }],
  ["outbound_.9080_.v1_.reviews.bookinfo.svc.cluster.local", { direction: "outbound", ...reviews }],
  ["outbound_.9080_._.reviews.bookinfo.svc.cluster.local", { direction: "outbound", ...reviews }],
  ["inbound|9080|http|reviews.bookinfo.svc.cluster.local", { direction: "inbound", ...reviews }],
  ["inbound|9080||", { direction: "inbound" }],
  ["outbound|443||api.example.com", { direction: "outbound", host: "api.example.com", name: "api.example.com" }],
  ["reviews.bookinfo.svc.cluster.local", reviews],
  ["reviews.bookinfo.svc", { host: "reviews.bookinfo.svc", name: "reviews", namespace: "bookinfo" }],
  ["reviews", { host: "reviews", name: "reviews" }],
  ["api.example.com", { host: "api.example.com", name: "api.example.com" }],
  ["PassthroughCluster", { direction: "outbound", name: "PassthroughCluster" }],
  ["BlackHoleCluster", { direction: "outbound", name: "BlackHoleCluster" }],
  ["InboundPassthroughClusterIpv4", { direction: "inbound", name: "InboundPassthroughClusterIpv4" }],
  ["sideways|9080||reviews", { host: "sideways|9080||reviews", name: "sideways|9080||reviews" }],
  ["outbound|9080", { host: "outbound|9080", name: "outbound|9080" }],
  ["constructor", { host: "constructor", name: "constructor" }],
  [".bookinfo.svc", { host: ".bookinfo.svc", name: ".bookinfo.svc" }],
  ["", {}],
];

for (const [cluster, service] of clusters) {
  test(`the cluster "${cluster}" is cut into its service`, (t) => {
    t.deepEqual(serviceOfCluster(cluster), service);
  });
}
