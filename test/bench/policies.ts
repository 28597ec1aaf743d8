import { serviceName, teams } from "./requests.ts";

/** Policy files by name. */
export type Files = ReadonlyMap<string, string>;

/** Ten rules of the kinds that operators write, of which none refuses the load's requests. */
function rules(own: string): string {
  return `
  - { name: mutual-tls, deny: unauthenticated, unless: connection.mtls }
  - { name: known-teams, deny: permission_denied, unless: 'source.namespace in ${JSON.stringify([...teams, own])}' }
  - { name: no-admin, deny: permission_denied, when: 'request.url_path.startsWith("/admin/${own}")' }
  - { name: methods, deny: unimplemented, unless: 'request.method in ["GET", "POST", "PUT", "DELETE"]' }
  - { name: no-debug, deny: permission_denied, when: 'has(request.headers["x-debug"]) && request.headers["x-debug"] == "${own}"' }
  - { name: inside, deny: permission_denied, unless: 'inCidr(source.ip, "10.0.0.0/8")' }
  - { name: no-robots, deny: permission_denied, when: 'has(request.useragent) && request.useragent.contains("robot-${own}")' }
  - { name: port, deny: failed_precondition, unless: destination.port == 9080 }
  - { name: no-scripts, deny: not_found, when: 'request.url_path.endsWith(".php")' }
  - { name: signed-in, deny: unauthenticated, unless: 'request.auth.principal.startsWith("https://login.example/")' }
`;
}

/** A path that each set of ten rules refuses: for asking whether the rules are really judged. */
export const refusedPath = "/index.php";

/** Ten rules for each of the first services of the load's mesh. */
function servicePolicies(count: number): [string, string][] {
  return Array.from({ length: count }, (_, i) => {
    const name = serviceName(i);
    return [`${name}.yaml`, `policy: ${name}\nmatch: destination.service.name == "${name}"\ncheck:${rules(name)}`];
  });
}

function meshPolicy(name: string): [string, string] {
  return [`${name}.yaml`, `policy: ${name}\ncheck:${rules(name)}`];
}

/** 10 rules that every request is judged by. */
export const tenRules: Files = new Map([meshPolicy("mesh")]);

/** 100 rules over 8 services: each request is judged by the 20 that hold for the whole mesh and its service's 10. */
export const hundredRules: Files = new Map([meshPolicy("mesh"), meshPolicy("mesh-too"), ...servicePolicies(8)]);

/** 1,000 rules: ten for each of 100 services, and none for the whole mesh. */
export const thousandRules: Files = new Map(servicePolicies(100));

/** 10,000 rules: ten for each of 1,000 services, and none for the whole mesh. */
export const tenThousandRules: Files = new Map(servicePolicies(1000));

/** 10,000 rules, one of them a limit that gives each user one request a day. */
export const manyKeys: Files = new Map([
  ...servicePolicies(999),
  [
    "users.yaml",
    "policy: users\ncheck:\n  - { name: per-user, limit: 1/d, by: { user: request.auth.principal } }\n" +
      Array.from(
        { length: 9 },
        (_, i) => `  - { name: path-${i}, deny: not_found, when: request.url_path == "/${i}" }\n`,
      ).join(""),
  ],
]);

/** The same ten rules for what an Envoy at the edge tells of a caller without certificate and token. */
function edgePolicy(name: string, match: string): [string, string] {
  const kept = rules(name)
    .split("\n")
    .filter((line) => !/mutual-tls|known-teams|inside|port|signed-in/.test(line))
    .join("\n");
  return [
    `${name}.yaml`,
    `policy: ${name}\n${match}check:${kept}
  - { name: who, deny: unauthenticated, unless: 'has(request.headers["authorization"])' }
  - { name: network, deny: permission_denied, when: 'inCidr(source.ip, "192.0.2.0/24")' }
  - { name: no-trace, deny: unimplemented, when: 'request.method == "TRACE"' }
  - { name: host, deny: not_found, unless: 'request.host.endsWith("shop.example")' }
  - { name: no-robots-header, deny: permission_denied, when: 'request.headers["x-robot"] == "${name}"' }
`,
  ];
}

/** 100 rules over 8 services for requests through Envoy; each is judged by 30 of them. */
export const edgeRules: Files = new Map([
  edgePolicy("mesh", ""),
  edgePolicy("mesh-too", ""),
  ...Array.from({ length: 8 }, (_, i) =>
    edgePolicy(serviceName(i), `match: destination.service.name == "${serviceName(i)}"\n`),
  ),
]);

/** Istio's standard HTTP metrics: one counter and three histograms with the same 19 labels. */
export const standardMetrics: Files = new Map([
  [
    "telemetry.yaml",
    `policy: telemetry
report:
  - metric: istio_requests_total
    type: counter
    labels: &labels
      reporter: 'context.reporter.kind == "inbound" ? "destination" : "source"'
      source_workload: source.workload.name
      source_workload_namespace: source.workload.namespace
      source_principal: source.principal
      source_app: source.labels["app"]
      source_version: source.labels["version"]
      destination_workload: destination.workload.name
      destination_workload_namespace: destination.workload.namespace
      destination_principal: destination.principal
      destination_app: destination.labels["app"]
      destination_version: destination.labels["version"]
      destination_service: destination.service.host
      destination_service_name: destination.service.name
      destination_service_namespace: destination.service.namespace
      request_protocol: context.protocol
      response_code: response.code
      response_flags: context.proxy_error_code
      permissive_response_code: rbac.permissive.response_code
      connection_security_policy: 'connection.mtls ? "mutual_tls" : "none"'
    to: prometheus
  - metric: istio_request_duration_seconds
    type: histogram
    value: response.duration
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
    labels: *labels
    to: prometheus
  - metric: istio_request_bytes
    type: histogram
    value: request.size
    buckets: &bytes { exponential: { start: 1, factor: 10, count: 8 } }
    labels: *labels
    to: prometheus
  - metric: istio_response_bytes
    type: histogram
    value: response.size
    buckets: *bytes
    labels: *labels
    to: prometheus
`,
  ],
]);
