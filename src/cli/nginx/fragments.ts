import { endpointText } from "../hub-address.ts";
import { inVariable, variableOf } from "./carried-headers.ts";
import { block, directive, remark, type Directive } from "./directive.ts";
import type { NginxSettings } from "./settings.ts";

/** The name of the hub among nginx's upstreams. */
const hubName = "weir_hub";

export type Fragment = "server" | "http" | "locations" | "location";

interface Piece {
  readonly what: string;
  make(settings: NginxSettings): readonly Directive[];
}

/** What a line of the access log says: names and nginx's variables. */
const logged = Object.entries({
  time: "$time_iso8601",
  method: "$request_method",
  path: "$request_uri",
  code: "$status",
  decision: "$weir_decision",
  rules: "$weir_rules",
})
  .map(([name, variable]) => `"${name}":"${variable}"`)
  .join(",");

/** What can be printed. */
export const pieces: Readonly<Record<Fragment, Piece>> = {
  server: { what: "a whole configuration, with one server", make: wholeConfiguration },
  http: { what: "what belongs into http {}, once", make: httpDirectives },
  locations: { what: "what belongs into each server {} with protected locations", make: locationsOfHub },
  location: { what: "what belongs into each protected location {}", make: protection },
};

function wholeConfiguration(settings: NginxSettings): Directive[] {
  const { folder, listen, listenTls, upstream } = settings;
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  return [
    directive("worker_processes", "auto"),
    ...(folder === undefined ? [] : [directive("pid", `${folder}/nginx.pid`)]),
    directive("error_log", "stderr", "warn"),
    block("events", []),
    block("http", [
      ...httpDirectives(settings),
      ...(folder === undefined
        ? [
            remark("Or a file: access_log /var/log/nginx/weir.log weir; shows what was decided of each request."),
            directive("access_log", "off"),
          ]
        : [directive("access_log", `${folder}/access.log`, "weir")]),
      ...(folder === undefined ? [] : temporary.map((name) => directive(`${name}_temp_path`, `${folder}/${name}`))),
      block("server", [
        directive("listen", endpointText(listen), ...(listenTls === undefined ? [] : ["ssl"])),
        ...(listenTls === undefined
          ? []
          : [directive("ssl_certificate", listenTls.cert), directive("ssl_certificate_key", listenTls.key)]),
        ...(listenTls?.ca === undefined
          ? []
          : [directive("ssl_client_certificate", listenTls.ca), directive("ssl_verify_client", "on")]),
        block("location /", [
          ...protection(settings),
          remark("The service. proxy_set_header lines of a server do not hold where a location has its own."),
          directive("proxy_pass", `http://${endpointText(upstream)}`),
          directive("proxy_http_version", "1.1"),
          directive("proxy_set_header", "Connection", '""'),
          directive("proxy_set_header", "Host", "$http_host"),
          directive("proxy_set_header", "X-Forwarded-For", "$proxy_add_x_forwarded_for"),
          directive("proxy_set_header", "X-Forwarded-Proto", "$scheme"),
        ]),
        ...locationsOfHub(settings),
      ]),
    ]),
  ];
}

function httpDirectives({ hub, headers, clientCertificates }: NginxSettings): Directive[] {
  const replaced = headers.response.filter((each) => each.replaced);
  const added = headers.response.filter((each) => each.added);
  let captures = 0;
  const maps = (name: string, prefix: "replaced" | "added", sign: string, otherwise: string): Directive => {
    // PCRE takes names of 32 characters, and headers have longer ones.
    const capture = `weir_value_${++captures}`;
    return block(`map $${variableOf("response", name)} $${variableOf(prefix, name)}`, [
      directive("default", otherwise),
      directive(`"~^${sign}(?<${capture}>.*)$"`, `$${capture}`),
    ]);
  };
  return [
    block(`upstream ${hubName}`, [directive("server", endpointText(hub)), directive("keepalive", "32")]),
    remark("For access_log: a line of JSON a request, with the decision on it and the rules that refused."),
    directive("log_format", "weir", "escape=json", `{${logged}}`),
    remark(
      "A request may name one host in its target and another in its header Host. nginx goes by the first, rules and services by the second: such a request is refused.",
    ),
    block('map "$host $http_host" $weir_host_unclear', [
      directive("default", "1"),
      directive('"~ $"', '""'),
      directive('"~*^(?<weir_host>\\S+) \\k<weir_host>\\.?(:\\d*)?$"', '""'),
    ]),
    ...(clientCertificates
      ? [
          remark("Only a certificate that nginx has verified proves anything."),
          block("map $ssl_client_verify $weir_client_certificate", [
            directive("default", '""'),
            directive("SUCCESS", "$ssl_client_escaped_cert"),
          ]),
        ]
      : []),
    ...(headers.response.length === 0
      ? []
      : [remark("Response headers of rules: =VALUE replaces what the service answers, +VALUE is added to it.")]),
    ...replaced.map(({ name }) => maps(name, "replaced", "=", `$upstream_http_${inVariable(name)}`)),
    ...added.map(({ name }) => maps(name, "added", "\\+", '""')),
  ];
}

function locationsOfHub(settings: NginxSettings): Directive[] {
  const { failure, timeoutMs, clientCertificates } = settings;
  return [
    remark("Asks the hub. Every header here is nginx's own: what a caller wrote under its name is gone."),
    block("location = /_weir/check", [
      directive("internal"),
      block("if ($weir_host_unclear)", [directive("return", "403")]),
      directive("proxy_pass", `${schemeOf(settings)}://${hubName}/v1/authz/nginx${parametersOf(settings)}`),
      ...hubConnection(settings),
      directive("proxy_set_header", "X-Original-Method", "$request_method"),
      directive("proxy_set_header", "X-Original-URI", "$request_uri"),
      directive("proxy_set_header", "X-Original-Host", "$http_host"),
      directive("proxy_set_header", "X-Original-Scheme", "$scheme"),
      directive("proxy_set_header", "X-Original-Id", "$request_id"),
      remark(
        "Only the address that nginx itself sees. Behind another proxy, set_real_ip_from and real_ip_header make it the client's.",
      ),
      directive("proxy_set_header", "X-Forwarded-For", "$remote_addr"),
      ...(clientCertificates
        ? [directive("proxy_set_header", "X-Original-Certificate", "$weir_client_certificate")]
        : []),
      directive("proxy_connect_timeout", `${timeoutMs}ms`),
      directive("proxy_send_timeout", `${timeoutMs}ms`),
      directive("proxy_read_timeout", `${timeoutMs}ms`),
      directive("proxy_intercept_errors", "on"),
      directive("error_page", "500", "502", "503", "504", "=", "@weir_down"),
    ]),
    remark(
      failure === "open"
        ? "The hub cannot be asked: let the request pass."
        : "The hub cannot be asked: refuse the request, with 503 as @weir_refused makes it.",
    ),
    block("location @weir_down", [directive("return", failure === "open" ? "204" : "403")]),
    remark(
      "auth_request knows only the statuses 401 and 403, and no body. The hub has put its whole answer into a header, and gives it to the caller from there.",
    ),
    block("location @weir_refused", [
      remark("A 403 of nginx's own, before or after the hub was asked."),
      block('if ($weir_check ~ "^(|200)$")', [directive("return", "403")]),
      block('if ($weir_refusal = "")', [directive("return", "503")]),
      directive("rewrite", "^", "/v1/authz/nginx/refusal?", "break"),
      directive("proxy_pass", `${schemeOf(settings)}://${hubName}`),
      directive("proxy_method", "GET"),
      directive("proxy_pass_request_headers", "off"),
      ...hubConnection(settings),
      directive("proxy_set_header", "X-Weir-Refusal", "$weir_refusal"),
    ]),
  ];
}

function protection({ headers }: NginxSettings): Directive[] {
  const fromHub = (variable: string, header: string): Directive =>
    directive("auth_request_set", `$${variable}`, `$upstream_http_${inVariable(header)}`);
  return [
    directive("auth_request", "/_weir/check"),
    directive("auth_request_set", "$weir_check", "$upstream_status"),
    fromHub("weir_refusal", "x-weir-refusal"),
    remark("For access logs: the decision's identifier and status, and the rules that refused."),
    fromHub("weir_decision", "x-weir-decision"),
    fromHub("weir_status", "x-weir-status"),
    fromHub("weir_rules", "x-weir-rules"),
    directive("error_page", "403", "=", "@weir_refused"),
    ...(headers.request.length === 0
      ? []
      : [remark("Request headers of rules. An empty one is not sent on, so that callers cannot bring their own.")]),
    ...headers.request.flatMap((name) => [
      fromHub(variableOf("request", name), `x-weir-request-${name}`),
      directive("proxy_set_header", name, `$${variableOf("request", name)}`),
    ]),
    ...(headers.response.length === 0
      ? []
      : [remark("Response headers of rules. add_header lines of a server do not hold where a location has its own.")]),
    ...headers.response.flatMap(({ name, replaced, added }) => [
      fromHub(variableOf("response", name), `x-weir-response-${name}`),
      ...(replaced
        ? [
            directive("proxy_hide_header", name),
            directive("add_header", name, `$${variableOf("replaced", name)}`, "always"),
          ]
        : []),
      ...(added ? [directive("add_header", name, `$${variableOf("added", name)}`, "always")] : []),
    ]),
  ];
}

/** What both locations that reach the hub need. */
function hubConnection({ tls }: NginxSettings): Directive[] {
  return [
    directive("proxy_http_version", "1.1"),
    directive("proxy_set_header", "Connection", '""'),
    directive("proxy_pass_request_body", "off"),
    directive("proxy_set_header", "Content-Length", '""'),
    remark("A refusal has its whole answer in a header."),
    directive("proxy_buffer_size", "32k"),
    directive("proxy_buffers", "8", "32k"),
    ...(tls === undefined
      ? []
      : [
          directive("proxy_ssl_trusted_certificate", tls.ca),
          directive("proxy_ssl_verify", "on"),
          directive("proxy_ssl_verify_depth", "3"),
          directive("proxy_ssl_name", tls.name),
          directive("proxy_ssl_server_name", "on"),
          directive("proxy_ssl_session_reuse", "on"),
        ]),
    ...(tls?.cert === undefined || tls.key === undefined
      ? []
      : [directive("proxy_ssl_certificate", tls.cert), directive("proxy_ssl_certificate_key", tls.key)]),
  ];
}

function schemeOf({ tls }: NginxSettings): string {
  return tls === undefined ? "http" : "https";
}

/** What the hub must know of this configuration: which headers it takes over, and which attributes it vouches for. */
function parametersOf({ headers, attributes, clientCertificates }: NginxSettings): string {
  const parameters = [
    `copy=${headers.request.join(",")}`,
    `copy-response=${headers.response.map(({ name }) => name).join(",")}`,
    ...(clientCertificates ? ["certificate=x-original-certificate"] : []),
    ...Array.from(attributes, ([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`),
  ];
  return `?${parameters.join("&")}`;
}
