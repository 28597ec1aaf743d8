import { rm } from "node:fs/promises";
import test, { type ExecutionContext } from "ava";
import { parse } from "yaml";
import { addEnvoyCommand } from "../../src/cli/envoy.ts";
import { writeFolder } from "../e2e/hub.ts";
import { runCommand, type Ran } from "./run-command.ts";

/** Runs `weir envoy` on one policy: what stands under `check:`, in the flow style of YAML, a rule a line. */
async function printed(t: ExecutionContext, rules: readonly string[], args: readonly string[] = []): Promise<Ran> {
  const text = ["policy: shop", "check:", ...rules.map((rule) => `  - { ${rule} }`)].join("\n");
  const folder = await writeFolder({ "policies/shop.yaml": text });
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return runCommand(addEnvoyCommand, ["envoy", ...args], { cwd: folder });
}

/** The configuration as values; fails the test when the command said anything on standard error. */
async function config(t: ExecutionContext, rules: readonly string[], args: readonly string[] = []): Promise<any> {
  const { out, err, exitCode } = await printed(t, rules, args);
  t.is(err, "");
  t.is(exitCode, 0);
  return parse(out);
}

const authz = (whole: any): any => filters(whole)[0].typed_config;
const filters = (whole: any): any[] => manager(whole).http_filters;
const manager = (whole: any): any => whole.static_resources.listeners[0].filter_chains[0].filters[0].typed_config;
const host = (whole: any): any => manager(whole).route_config.virtual_hosts[0];
const clusters = (whole: any): any[] => whole.static_resources.clusters;
const deny = (when: string) => `name: it, deny: permission_denied, when: '${when}'`;
const limit = (reads: string, more = "") => `name: it, limit: 5/m, at: ratelimit, by: '${reads}'${more}`;

test("the whole is a listener before the service, with the hub in a cluster of its own", async (t) => {
  const whole = await config(
    t,
    [deny('request.path == "/x"')],
    [...["--hub", "weir.mesh:9091", "--upstream", "10.1.2.3:9080", "--listen", "[::1]:80", "--service", "web.shop"]],
  );
  const address = (cluster: any) =>
    cluster.load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address;
  const [hub, service] = clusters(whole);
  t.like(hub, { type: "STRICT_DNS", dns_lookup_family: "V4_PREFERRED" });
  t.deepEqual(address(hub), { address: "weir.mesh", port_value: 9091 });
  t.is(service.type, "STATIC");
  t.deepEqual(address(service), { address: "10.1.2.3", port_value: 9080 });
  t.deepEqual(whole.static_resources.listeners[0].address.socket_address, { address: "::1", port_value: 80 });
  t.is(host(whole).routes[0].route.cluster, service.name);
  t.is(service.name, "inbound|9080||web.shop.svc.cluster.local");
  t.deepEqual(
    filters(whole).map(({ name }) => name),
    ["envoy.filters.http.ext_authz", "envoy.filters.http.grpc_stats", "envoy.filters.http.router"],
  );
});

test("connections to the hub are kept alive, and its health is asked for", async (t) => {
  const [hub] = clusters(await config(t, [deny('request.path == "/x"')]));
  const { explicit_http_config: http } =
    hub.typed_extension_protocol_options["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"];
  t.deepEqual(http.http2_protocol_options.connection_keepalive, { interval: "30s", timeout: "5s" });
  t.is(hub.health_checks.length, 1);
  t.like(hub.health_checks[0], {
    grpc_health_check: {},
    interval: "5s",
    unhealthy_interval: "1s",
    // A hub that is there a moment after Envoy would else be found 5 s later.
    no_traffic_interval: "1s",
    no_traffic_healthy_interval: "5s",
    timeout: "1s",
  });
});

test("a hub that does not answer refuses by 503, or lets pass where that is asked for", async (t) => {
  const rules = [deny('request.path == "/x"'), limit("source.ip").replace("it", "other")];
  const [closedAuthz, closedLimit] = filters(await config(t, rules));
  t.like(closedAuthz.typed_config, { failure_mode_allow: false, status_on_error: { code: "ServiceUnavailable" } });
  t.like(closedLimit.typed_config, { failure_mode_deny: true, status_on_error: { code: "ServiceUnavailable" } });
  const [openAuthz, openLimit] = filters(await config(t, rules, ["--fail-open"]));
  t.like(openAuthz.typed_config, { failure_mode_allow: true, failure_mode_allow_header_add: true });
  t.like(openLimit.typed_config, { failure_mode_deny: false });
  const both = await printed(t, rules, ["--fail-open", "--fail-closed"]);
  t.true(both.usage);
});

const sent: readonly { title: string; when: string; key: string; value: unknown }[] = [
  {
    title: "a body, one byte more than rules may read",
    when: 'request.body.contains("x")',
    key: "with_request_body",
    value: { max_request_bytes: 64 * 1024 + 1, allow_partial_message: true, pack_as_bytes: true },
  },
  {
    title: "the caller's certificate",
    when: 'source.certificate.subject == "CN=x"',
    key: "include_peer_certificate",
    value: true,
  },
  {
    title: "metadata of other filters",
    when: 'context.metadata["envoy.filters.http.rbac/engine"] == "x" && context.metadata["a~1b/c"] == "y"',
    key: "metadata_context_namespaces",
    value: ["a/b", "envoy.filters.http.rbac"],
  },
  {
    title: "metadata of the route",
    when: 'context.route_metadata["team/name"] == "x"',
    key: "route_metadata_context_namespaces",
    value: ["team"],
  },
  {
    title: "claims of a token",
    when: 'request.auth.claims["plan"] == "gold"',
    key: "metadata_context_namespaces",
    value: ["envoy.filters.http.jwt_authn"],
  },
];

for (const { title, when, key, value } of sent) {
  test(`${title} are sent where a policy reads them, and else not`, async (t) => {
    t.deepEqual(authz(await config(t, [deny(when)]))[key], value);
    t.is(authz(await config(t, [deny('request.path == "/x"')]))[key], undefined);
  });
}

test("what query parameters are set to is sent, and Envoy takes them encoded", async (t) => {
  const asks = (value: string) => `name: it, headers: { query: { set: { plan: '${value}' } } }`;
  const filter = authz(await config(t, [asks('request.auth.claims["plan"]')]));
  t.deepEqual(filter.metadata_context_namespaces, ["envoy.filters.http.jwt_authn"]);
  t.is(filter.validate_mutations, undefined);
  t.is(authz(await config(t, ["name: it, headers: { query: { remove: [debug] } }"])).validate_mutations, true);
});

const service = 'destination.service.name == "web" && destination.namespace == "shop" && request.path == "/x"';
const web = {
  "destination.service.name": "web",
  "destination.namespace": "shop",
  "destination.service.namespace": "shop",
  "destination.service.host": "web.shop.svc.cluster.local",
};

test("the service is the one that the policies name, and Envoy vouches for it", async (t) => {
  const extensions = (whole: any) =>
    host(whole).typed_per_filter_config["envoy.filters.http.ext_authz"].check_settings.context_extensions;
  t.deepEqual(extensions(await config(t, [deny(service)])), web);
  t.deepEqual(
    extensions(
      await config(t, [deny(service)], ["--service", "api", "--attribute", "destination.workload.name=api-v2"]),
    ),
    {
      ...web,
      "destination.service.name": "api",
      "destination.service.host": "api.shop.svc.cluster.local",
      "destination.workload.name": "api-v2",
    },
  );
});

const actions: readonly { title: string; reads: string; args?: readonly string[]; gives: object }[] = [
  {
    title: "a header",
    reads: 'request.headers["x-api-key"]',
    gives: {
      request_headers: { header_name: "x-api-key", descriptor_key: "request.headers.x-api-key", skip_if_absent: true },
    },
  },
  {
    title: "the path",
    reads: "request.path",
    gives: { request_headers: { header_name: ":path", descriptor_key: "request.path", skip_if_absent: true } },
  },
  {
    title: "the normalised path, which the hub makes of the path",
    reads: "request.url_path",
    gives: { request_headers: { header_name: ":path", descriptor_key: "request.path", skip_if_absent: true } },
  },
  {
    title: "the API key",
    reads: "request.api_key",
    gives: { request_headers: { header_name: "x-api-key", descriptor_key: "request.api_key", skip_if_absent: true } },
  },
  {
    title: "the method",
    reads: "request.method",
    gives: { request_headers: { header_name: ":method", descriptor_key: "request.method", skip_if_absent: true } },
  },
  {
    title: "a parameter of the query",
    reads: 'request.query_params["q"]',
    gives: {
      query_parameters: { query_parameter_name: "q", descriptor_key: "request.query_params.q", skip_if_absent: true },
    },
  },
  { title: "the caller's address", reads: "source.ip", gives: { remote_address: {} } },
  {
    title: "the caller's certificate",
    reads: "source.principal",
    gives: {
      extension: {
        name: "envoy.rate_limit_descriptors.expr",
        typed_config: {
          "@type": "type.googleapis.com/envoy.extensions.rate_limit_descriptors.expr.v3.Descriptor",
          descriptor_key: "source.principal",
          text: "connection.uri_san_peer_certificate",
          skip_if_error: true,
        },
      },
    },
  },
  {
    title: "a claim",
    reads: 'request.auth.claims["plan"]',
    args: ["--jwt-payload", "token"],
    gives: {
      metadata: {
        descriptor_key: "request.auth.claims.plan",
        metadata_key: { key: "envoy.filters.http.jwt_authn", path: [{ key: "token" }, { key: "plan" }] },
        skip_if_absent: true,
      },
    },
  },
  {
    title: "the service",
    reads: "destination.service.name",
    args: ["--service", "web"],
    gives: { generic_key: { descriptor_key: "destination.service.name", descriptor_value: "web" } },
  },
  {
    title: "a key that Envoy writes by itself",
    reads: 'ratelimit.descriptor["destination_cluster"]',
    gives: { destination_cluster: {} },
  },
  {
    title: "a key of the operator's, from a header",
    reads: 'ratelimit.descriptor["tenant"]',
    args: ["--descriptor", "tenant=header:X-Tenant"],
    gives: { request_headers: { header_name: "x-tenant", descriptor_key: "tenant", skip_if_absent: true } },
  },
  {
    title: "a key of the operator's, as a constant",
    reads: 'ratelimit.descriptor["tenant"]',
    args: ["--descriptor", "tenant=acme"],
    gives: { generic_key: { descriptor_key: "tenant", descriptor_value: "acme" } },
  },
  {
    title: "nothing",
    reads: '"x"',
    gives: { generic_key: { descriptor_key: "generic_key", descriptor_value: "weir" } },
  },
];

for (const { title, reads, args, gives } of actions) {
  test(`a limit that reads ${title} gets it in the descriptor`, async (t) => {
    t.deepEqual(host(await config(t, [limit(reads)], args)).rate_limits, [{ actions: [gives] }]);
  });
}

test("all limits of a domain share one descriptor, so that none is charged twice", async (t) => {
  const { rate_limits: limits } = host(
    await config(t, [
      "name: a, limit: 5/m, at: ratelimit, by: source.ip",
      "name: b, limit: 5/m, at: ratelimit, by: { ip: source.ip, path: request.path }",
      'name: c, limit: 5/m, when: \'ratelimit.descriptor["tier"] == "slow"\', by: source.ip',
    ]),
  );
  t.is(limits.length, 1);
  t.deepEqual(
    limits[0].actions.map((action: any) => Object.keys(action)[0]),
    ["request_headers", "remote_address", "generic_key"],
  );
});

test("a key is no constant where a limit asks for more than one text of it", async (t) => {
  const gold = 'name: gold, limit: 50/h, when: \'ratelimit.descriptor["plan"] == "gold"\', by: source.ip';
  const free = 'name: free, limit: 1/h, when: \'ratelimit.descriptor["plan"] != "gold"\', by: source.ip';
  for (const rules of [
    [gold, free],
    [free, gold],
  ]) {
    const { out, err } = await printed(t, rules);
    t.deepEqual(host(parse(out)).rate_limits, [{ actions: [{ remote_address: {} }] }]);
    t.regex(err, /^warning: shop\/free reads ratelimit\.descriptor\["plan"\], .* --descriptor plan=header:NAME/m);
  }
  const { actions: given } = host(await config(t, [gold, free], ["--descriptor", "plan=header:x-plan"])).rate_limits[0];
  t.like(given[0], { request_headers: { header_name: "x-plan" } });
});

test("the log on standard output tells which filter refused by which rules", async (t) => {
  const fields = async (rules: readonly string[]) =>
    manager(await config(t, rules)).access_log[0].typed_config.log_format.json_format;
  const both = await fields([deny('request.path == "/x"'), limit("source.ip").replace("it", "other")]);
  t.is(both.rules, "%DYNAMIC_METADATA(envoy.filters.http.ext_authz:rules)%");
  t.is(both.limits, "%DYNAMIC_METADATA(envoy.filters.http.ratelimit:rules)%");
  t.false("limits" in (await fields([deny('request.path == "/x"')])));
});

test("a service may be told by its whole name", async (t) => {
  const extensionsOf = async (name: string) => {
    const settings = host(await config(t, [deny(service)], ["--service", name])).typed_per_filter_config;
    return settings["envoy.filters.http.ext_authz"].check_settings.context_extensions;
  };
  for (const name of ["web.shop", "web.shop.svc", "web.shop.svc.cluster.local"])
    t.deepEqual(await extensionsOf(name), web);
  t.deepEqual(await extensionsOf("web.shop.svc.mesh.example"), {
    ...web,
    "destination.service.host": "web.shop.svc.mesh.example",
  });
});

test("the help shows defaults as they are written", async (t) => {
  const { out } = await printed(t, [], ["--help"]);
  for (const text of ["127.0.0.1:10000", "127.0.0.1:8000", "127.0.0.1:9901", "200ms"])
    t.regex(out, new RegExp(`\\(default:\\s+${text.replaceAll(".", "\\.")}\\)`));
});

test("the domain is the one that the policies name", async (t) => {
  const rule = 'name: it, limit: 5/m, when: ratelimit.domain == "edge", by: source.ip';
  t.is(filters(await config(t, [rule]))[1].typed_config.domain, "edge");
  t.is(filters(await config(t, [limit("source.ip")]))[1].typed_config.domain, "weir");
});

const warned: readonly { title: string; rules: readonly string[]; args?: readonly string[]; says: RegExp }[] = [
  {
    title: "a service that is not told",
    rules: [deny('destination.service.name == "a"'), deny('destination.service.name == "b"').replace("it", "other")],
    says: /^warning: rules read destination\.service\.name, .* --service NAME\.NAMESPACE \(the policies name a, b\)$/m,
  },
  {
    title: "another attribute of the destination",
    rules: [deny('destination.workload.name == "a"')],
    says: /--attribute destination\.workload\.name=VALUE/,
  },
  {
    title: "a key that comes from nowhere",
    rules: [limit('ratelimit.descriptor["tenant"]')],
    says: /shop\/it reads ratelimit\.descriptor\["tenant"\], .* --descriptor tenant=header:NAME/,
  },
  {
    title: "a key with two constants",
    rules: [
      'name: a, limit: 5/m, when: \'ratelimit.descriptor["tier"] == "a"\'',
      'name: b, limit: 5/m, when: \'ratelimit.descriptor["tier"] == "b"\'',
    ],
    says: /ratelimit\.descriptor\["tier"\] to be one of a, b/,
  },
  {
    title: "a second domain",
    rules: ['name: a, limit: 5/m, when: ratelimit.domain == "a"', 'name: b, limit: 5/m, when: ratelimit.domain == "b"'],
    says: /limits of the domain b need a filter of their own/,
  },
];

for (const { title, rules, args, says } of warned) {
  test(`${title} is warned of, on standard error and in the file`, async (t) => {
    const { out, err, exitCode } = await printed(t, rules, args);
    t.is(exitCode, 0);
    t.regex(err, says);
    t.regex(out, /^# Warning: /m);
  });
}

const mistakes: readonly { args: readonly string[]; says: RegExp }[] = [
  { args: ["--tls-cert", "c.pem"], says: /--tls-cert needs --tls-key/ },
  { args: ["--tls-cert", "c.pem", "--tls-key", "k.pem"], says: /--tls-cert needs --tls-ca/ },
  { args: ["--listen-key", "k.pem"], says: /--listen-key needs --listen-cert/ },
  { args: ["--listen-ca", "ca.pem"], says: /--listen-ca needs --listen-cert/ },
  { args: ["--attribute", "destination.nmespace=a"], says: /did you mean "destination\.namespace"\?/ },
  { args: ["--attribute", "destination.port=a"], says: /type int64 for destination\.port, found "a"/ },
  { args: ["--attribute", "destination.port"], says: /expected name=value/ },
  { args: ["--hub", "weir"], says: /HOST:PORT/ },
  { args: ["--hub", "weir:65536"], says: /HOST:PORT/ },
  { args: ["--service", "the ratings"], says: /NAME\.NAMESPACE/ },
  { args: ["--timeout", "200"], says: /such as 200ms/ },
  { args: ["--ongoing", "10"], says: /expected 100ms to 1h, such as 10s/ },
  { args: ["--descriptor", "tenant"], says: /key=header:NAME/ },
  { args: ["--fragment", "filter"], says: /bootstrap, tcp-bootstrap/ },
  { args: ["--fragment", "envoy-filter", "--direction", "outbound"], says: /envoy-filter .* --direction inbound/ },
];

for (const { args, says } of mistakes) {
  test(`${args.join(" ")} is a mistake that says what was expected`, async (t) => {
    const { out, err, exitCode } = await printed(t, [deny('request.path == "/x"')], args);
    t.is(out, "");
    t.regex(err, says);
    t.is(exitCode, 1);
  });
}

test("policies with mistakes print no configuration", async (t) => {
  const { out, err, exitCode } = await printed(t, ["name: it, denny: internal"]);
  t.is(out, "");
  t.regex(err, /did you mean "deny"\?/);
  t.is(exitCode, 1);
});

const fragments: readonly { fragment: string; holds: RegExp }[] = [
  { fragment: "bootstrap", holds: /^# Printed by weir envoy[^]*^static_resources:[^]*^ +# Fail closed: /m },
  { fragment: "envoy-filter", holds: /^kind: EnvoyFilter$[^]*^ {4}# The hub\.$/m },
  { fragment: "ext-authz", holds: /^name: envoy\.filters\.http\.ext_authz$/m },
  { fragment: "ratelimit", holds: /^name: envoy\.filters\.http\.ratelimit$/m },
  { fragment: "rate-limit-quota", holds: /^name: envoy\.filters\.http\.rate_limit_quota$/m },
  { fragment: "route", holds: /^typed_per_filter_config:[^]*^rate_limits:/m },
  { fragment: "grpc-stats", holds: /^name: envoy\.filters\.http\.grpc_stats$/m },
  { fragment: "access-log", holds: /^name: envoy\.access_loggers\.http_grpc$/m },
  { fragment: "access-log-options", holds: /^flush_access_log_on_new_request: true\naccess_log_flush_interval: 10s$/m },
  { fragment: "tcp-access-log", holds: /^name: envoy\.access_loggers\.tcp_grpc$/m },
  { fragment: "cluster", holds: /^name: weir$[^]*grpc_health_check/m },
  { fragment: "tcp-bootstrap", holds: /name: envoy\.filters\.network\.tcp_proxy$/m },
];

for (const { fragment, holds } of fragments) {
  test(`--fragment ${fragment} prints that part, as YAML and as JSON`, async (t) => {
    const rules = [deny('request.path == "/x"'), limit("source.ip").replace("it", "other")];
    const { out } = await printed(t, rules, ["--fragment", fragment]);
    t.regex(out, holds);
    const json = await printed(t, rules, ["--fragment", fragment, "--json"]);
    t.deepEqual(JSON.parse(json.out), parse(out));
  });
}

for (const more of [[], ["--quota"], ["--fail-open", "--ongoing", "2s"]]) {
  test(`the EnvoyFilter of Istio has the parts of the whole, each as a patch: ${more.join(" ")}`, async (t) => {
    const rules = [deny(service), limit("source.ip").replace("it", "other")];
    const whole = await config(t, rules, more);
    const found = await config(t, rules, ["--fragment", "envoy-filter", ...more]);
    t.like(found, { apiVersion: "networking.istio.io/v1alpha3", kind: "EnvoyFilter" });
    t.deepEqual(found.metadata, { name: "weir-web", namespace: "shop" });
    t.deepEqual(found.spec.workloadSelector, { labels: { app: "web" } });
    const valuesOf = (kind: string, operation: string): any[] =>
      found.spec.configPatches
        .filter(({ applyTo, patch }: any) => applyTo === kind && patch.operation === operation)
        .map(({ match, patch }: any) => {
          t.is(match.context, "SIDECAR_INBOUND");
          return patch.value;
        });
    t.deepEqual(valuesOf("CLUSTER", "ADD"), [clusters(whole)[0]]);
    t.deepEqual(valuesOf("HTTP_FILTER", "INSERT_BEFORE"), filters(whole).slice(0, 2));
    const { typed_per_filter_config, rate_limits } = host(whole);
    t.deepEqual(valuesOf("VIRTUAL_HOST", "MERGE"), [
      { typed_per_filter_config, ...(rate_limits !== undefined && { rate_limits }) },
    ]);
    const { access_log, access_log_options } = manager(whole);
    const [http] = valuesOf("NETWORK_FILTER", "MERGE");
    t.deepEqual(http.typed_config.access_log, [access_log.at(-1)]);
    t.deepEqual(http.typed_config.access_log_options, access_log_options);
    t.is(found.spec.configPatches.length, 5);
  });
}

test("an EnvoyFilter bears no name that Kubernetes would not take", async (t) => {
  const { metadata, spec } = await config(
    t,
    [deny('request.path == "/x"')],
    ["--fragment", "envoy-filter", "--attribute", "destination.service.name=The Web"],
  );
  t.deepEqual([metadata, spec.workloadSelector], [{ name: "weir" }, undefined]);
});

test("requests that last are told of where that is asked for, as often; connections always", async (t) => {
  const rules = [deny('request.path == "/x"')];
  const options = async (...args: string[]) => manager(await config(t, rules, args)).access_log_options;
  t.is(await options(), undefined);
  t.deepEqual(await options("--ongoing", "2500ms"), {
    flush_access_log_on_new_request: true,
    access_log_flush_interval: "2.5s",
  });
  const tcp = { flush_access_log_on_connected: true, access_log_flush_interval: "10s" };
  t.deepEqual(await options("--fragment", "tcp-bootstrap"), tcp);
  t.deepEqual(await options("--fragment", "tcp-bootstrap", "--ongoing", "1m"), {
    ...tcp,
    access_log_flush_interval: "60s",
  });
});

test("telling of requests that last in vain is warned of", async (t) => {
  const folder = await writeFolder({
    "weir.yaml": "telemetry: { mesh: none }\n",
    "policies/shop.yaml": "policy: shop\nreport: [{ metric: m, type: counter }]\n",
  });
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const args = ["envoy", "--config", "weir.yaml", "--ongoing", "10s"];
  const { err } = await runCommand(addEnvoyCommand, args, { cwd: folder });
  t.regex(err, /^warning: no rule has ongoing: true/m);
});

test("TLS to the hub names the certificate authority, who Envoy is and who the hub must be", async (t) => {
  const tls = async (...args: string[]) =>
    clusters(await config(t, [deny('request.path == "/x"')], ["--tls-ca", "ca.pem", ...args]))[0].transport_socket
      .typed_config;
  t.like((await tls("--hub", "weir.mesh:9091")).common_tls_context.validation_context, {
    trusted_ca: { filename: "ca.pem" },
    match_typed_subject_alt_names: [{ san_type: "DNS", matcher: { exact: "weir.mesh" } }],
  });
  const named = await tls("--tls-cert", "c.pem", "--tls-key", "k.pem", "--tls-name", "spiffe://mesh/weir");
  t.is(named.common_tls_context.validation_context.match_typed_subject_alt_names[0].san_type, "URI");
  t.deepEqual(named.common_tls_context.tls_certificates, [
    { certificate_chain: { filename: "c.pem" }, private_key: { filename: "k.pem" } },
  ]);
  t.is((await tls()).common_tls_context.validation_context.match_typed_subject_alt_names[0].san_type, "IP_ADDRESS");
});

test("the headers that reports read are logged", async (t) => {
  const folder = await writeFolder({
    "policies/a.yaml": `policy: a
report:
  - { metric: m, type: counter, labels: { a: 'request.headers["x-a"]', b: 'response.headers["x-b"]' } }
`,
  });
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const { out } = await runCommand(addEnvoyCommand, ["envoy", "--fragment", "access-log"], { cwd: folder });
  const { typed_config: typed } = parse(out) as any;
  t.deepEqual(typed.additional_request_headers_to_log, ["content-type", "x-a"]);
  t.deepEqual(typed.additional_response_headers_to_log, ["grpc-status", "grpc-message", "x-b"]);
});

/** The buckets of a filter rate_limit_quota: what a request must have, and the entries of the id that it then gets. */
function buckets({ typed_config: { bucket_matchers } }: any): string[] {
  const keysOf = ({ action }: any): string =>
    Object.entries<any>(action.typed_config.bucket_id_builder.bucket_id_builder)
      .map(([key, { string_value }]) => (string_value === undefined ? key : `${key}=${string_value}`))
      .join(" ");
  const having = ({ single_predicate, and_matcher }: any): number =>
    single_predicate === undefined ? and_matcher.predicate.length : 1;
  const listed = bucket_matchers.matcher_list?.matchers ?? [];
  return [
    ...listed.map(({ predicate, on_match }: any) => `${having(predicate)}: ${keysOf(on_match)}`),
    `0: ${keysOf(bucket_matchers.on_no_match)}`,
  ];
}

const bucketCases: readonly { title: string; rules: readonly string[]; buckets: readonly string[] }[] = [
  { title: "one for all", rules: ["name: it, limit: 5/m, at: ratelimit"], buckets: ["0: generic_key=weir"] },
  { title: "an address, which every request has", rules: [limit("source.ip")], buckets: ["0: remote_address"] },
  {
    title: "what some requests lack",
    rules: [limit('request.headers["x"]')],
    buckets: ["1: request.headers.x", "0: generic_key=weir"],
  },
  {
    title: "several of which some lack one",
    rules: [
      limit('request.headers["x"]'),
      limit('request.query_params["q"]').replace("it", "other"),
      limit("source.ip").replace("it", "third"),
    ],
    buckets: [
      "2: remote_address request.headers.x request.query_params.q",
      "1: remote_address request.headers.x",
      "1: remote_address request.query_params.q",
      "0: remote_address",
    ],
  },
];

for (const { title, rules, buckets: expected } of bucketCases) {
  test(`buckets that Envoy keeps to by itself: ${title}`, async (t) => {
    const whole = await config(t, rules, ["--quota"]);
    const filter = filters(whole).find(({ name }) => name === "envoy.filters.http.rate_limit_quota");
    t.deepEqual(
      buckets(filter).map((bucket) => bucket.replace(/(?<=: ).*/, (keys) => keys.split(" ").sort().join(" "))),
      expected,
    );
    t.is(host(whole).rate_limits, undefined);
  });
}

test("what is not assigned is refused, or passes where that is asked for", async (t) => {
  for (const [args, rule] of [
    [["--quota"], "DENY_ALL"],
    [["--quota", "--fail-open"], "ALLOW_ALL"],
  ] as const) {
    const [, filter] = filters(await config(t, ["name: it, limit: 5/m, at: ratelimit"], args));
    const { no_assignment_behavior, expired_assignment_behavior } =
      filter.typed_config.bucket_matchers.on_no_match.action.typed_config;
    for (const { fallback_rate_limit } of [no_assignment_behavior, expired_assignment_behavior])
      t.is(fallback_rate_limit.blanket_rule, rule);
  }
});

test("the name of any header tells an entry of the descriptor, and what is no name is refused", async (t) => {
  const rules = [limit('ratelimit.descriptor["tenant"]')];
  const { actions } = host(await config(t, rules, ["--descriptor", "tenant=header:x.tenant"])).rate_limits[0];
  t.deepEqual(actions, [
    { request_headers: { header_name: "x.tenant", descriptor_key: "tenant", skip_if_absent: true } },
  ]);
  for (const args of [
    ["--descriptor", "tenant=header:"],
    ["--descriptor", "tenant=header:x tenant"],
    ["--descriptor", "tenant=header:x-tenant\n"],
    ["--jwt-payload", ""],
  ])
    t.like(await printed(t, rules, args), { out: "", usage: true }, args.join(" "));
});

test("a limit that no proxy can keep to by itself is said where buckets are printed", async (t) => {
  const rules = ["name: l, limit: 3, algorithm: concurrency, at: ratelimit"];
  const { err } = await printed(t, rules, ["--quota"]);
  t.regex(err, /shop\/l limits what is at work at once, to which no proxy can keep by itself: its buckets refuse all/);
  t.notRegex((await printed(t, rules)).err, /refuse all/);
});

test("what a bucket cannot hold is said", async (t) => {
  const reads = ["connection.mtls", ...["a", "b", "c", "d", "e"].map((name) => `request.headers["${name}"]`)];
  const rules = reads.map((read, i) => limit(read).replace("it", `l${i}`));
  const { err } = await printed(t, rules, ["--quota"]);
  t.regex(err, /no input of the filter rate_limit_quota tells connection\.mtls/);
  t.regex(err, /at most 4 entries that requests may lack: request\.headers\.e are left out/);
});
