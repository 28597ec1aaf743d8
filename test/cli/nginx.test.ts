import { rm } from "node:fs/promises";
import test, { type ExecutionContext } from "ava";
import { addNginxCommand } from "../../src/cli/nginx.ts";
import { writeFolder } from "../e2e/hub.ts";
import { runCommand, type Ran } from "./run-command.ts";

/** Runs `weir nginx` on one policy: what stands under `check:`, in the flow style of YAML, a rule a line. */
async function printed(
  t: ExecutionContext,
  rules: readonly string[],
  args: readonly string[] = [],
  config = "policies: ./policies\n",
): Promise<Ran> {
  const text = ["policy: shop", "check:", ...rules.map((rule) => `  - { ${rule} }`)].join("\n");
  const folder = await writeFolder({ "policies/shop.yaml": text, "weir.yaml": config });
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return runCommand(addNginxCommand, ["nginx", ...args], { cwd: folder });
}

/** The lines of a configuration without their indentation; fails the test when the command said anything else. */
async function lines(t: ExecutionContext, ...given: Parameters<typeof printed> extends [any, ...infer R] ? R : never) {
  const { out, err, exitCode } = await printed(t, ...given);
  t.is(err, "");
  t.is(exitCode, 0);
  return out.split("\n").map((line) => line.trim());
}

const deny = "name: it, deny: permission_denied, when: 'request.path == \"/x\"'";
const edits = (request: string, response = "{}") =>
  `name: tags, headers: { request: ${request}, response: ${response} }`;

test("the whole is a server before the service, with the hub as an upstream", async (t) => {
  const found = await lines(
    t,
    [deny],
    ["--hub", "weir.mesh:9092", "--upstream", "[2001:db8::1]:9080", "--listen", "[::1]:80", "--folder", "/tmp/a b"],
  );
  for (const line of [
    "server weir.mesh:9092;",
    "listen [::1]:80;",
    "proxy_pass http://[2001:db8::1]:9080;",
    "auth_request /_weir/check;",
    'pid "/tmp/a b/nginx.pid";',
    'access_log "/tmp/a b/access.log" weir;',
    "proxy_read_timeout 200ms;",
    "return 403;",
  ]) {
    t.true(found.includes(line), line);
  }
});

test("the hub is where weir.yaml says, as seen from its own machine", async (t) => {
  const found = await lines(t, [deny], [], "policies: ./policies\nlisten: { http: 0.0.0.0:7000 }\n");
  t.true(found.includes("server 127.0.0.1:7000;"));
});

test("each fragment is a part of the whole", async (t) => {
  const rules = [edits("{ set: { x-a: '\"1\"' } }", "{ set: { x-b: '\"2\"' }, append: { x-c: '\"3\"' } }")];
  const isText = (line: string) => line !== "" && !line.startsWith("#");
  const whole = await lines(t, rules);
  for (const fragment of ["http", "locations", "location"]) {
    const part = (await lines(t, rules, ["--fragment", fragment])).filter(isText);
    t.true(part.length > 3);
    t.deepEqual(
      part.filter((line) => !whole.includes(line)),
      [],
      fragment,
    );
  }
});

test("headers that rules change are named to both sides", async (t) => {
  const found = await lines(t, [
    edits("{ set: { x-plan: '\"1\"' }, remove: [x-debug] }", "{ append: { x-served: '\"w\"' }, remove: [x-secret] }"),
  ]);
  for (const line of [
    "proxy_pass http://weir_hub/v1/authz/nginx?copy=x-debug,x-plan&copy-response=x-secret,x-served;",
    "auth_request_set $weir_request_x_plan $upstream_http_x_weir_request_x_plan;",
    "proxy_set_header x-plan $weir_request_x_plan;",
    "proxy_set_header x-debug $weir_request_x_debug;",
    "proxy_hide_header x-secret;",
    "add_header x-secret $weir_replaced_x_secret always;",
    "add_header x-served $weir_added_x_served always;",
  ]) {
    t.true(found.includes(line), line);
  }
  t.false(found.includes("proxy_hide_header x-served;"));
  t.false(found.includes("add_header x-secret $weir_added_x_secret always;"));
});

test("fields that tell of limits are carried where answers that pass have them", async (t) => {
  const rules = ["name: two, limit: 2/s"];
  const config = (fields: string) => `policies: ./policies\ndoors: { rateLimitFields: ${fields} }\n`;
  const carried = async (fields: string) =>
    (await lines(t, rules, [], config(fields)))
      .filter((line) => line.startsWith("add_header"))
      .map((line) => line.split(" ")[1]);
  t.deepEqual(await carried("{ on: refused }"), []);
  t.deepEqual(await carried("{ on: always }"), ["ratelimit", "ratelimit-policy"]);
  t.is((await carried("{ on: always, style: both }")).length, 5);
  t.deepEqual(await carried("{ on: always, style: none }"), []);
});

test("what nginx cannot carry is said, in the file too", async (t) => {
  const { out, err, exitCode } = await printed(t, [
    edits("{ set: { x.plan: '\"1\"' } }", "{ set: { server: '\"w\"', x_y: '\"w\"' } }"),
  ]);
  t.is(exitCode, 0);
  t.is(
    err,
    [
      "warning: shop/tags changes the header server, which nginx writes itself\n",
      "warning: shop/tags changes the header x.plan, which nginx cannot name in a variable: it is left out\n",
      "warning: shop/tags changes the header x_y, which nginx cannot name in a variable: it is left out\n",
    ].join(""),
  );
  t.regex(out, /# Warning: shop\/tags changes the header server, which nginx writes itself\.\n/);
  t.regex(out, /nginx\?copy=&copy-response=;/);
});

test("a header is sent once, where nginx writes it and a rule changes it", async (t) => {
  for (const name of ["x-forwarded-for", "x-forwarded-proto"]) {
    const { out, err } = await printed(t, [edits(`{ set: { ${name}: '"1.2.3.4"' } }`, "{ remove: [x-a] }")]);
    t.is(err, `warning: shop/tags changes the header ${name}, which nginx writes itself\n`);
    const [protectedLocation] = /location \/ \{[^}]*\}/.exec(out)!;
    t.is(protectedLocation.match(new RegExp(`proxy_set_header ${name} `, "gi"))?.length, 1);
  }
});

test("the service is named to the hub, and what nobody tells is said", async (t) => {
  const rules = [
    "name: it, deny: permission_denied, when: 'destination.namespace == \"shop\" && destination.port == 1'",
  ];
  const { err } = await printed(t, rules);
  t.regex(
    err,
    /rules read destination.port, which nginx does not tell: give it with --attribute destination.port=VALUE/,
  );
  const found = await lines(t, rules, ["--service", "web.shop", "--attribute", "destination.port=1"]);
  const [asked] = found.filter((line) => line.includes("/v1/authz/nginx?"));
  t.regex(asked!, /destination.service.name=web&destination.namespace=shop&.*destination.port=1;$/);
});

test("what an attribute holds is no syntax of nginx", async (t) => {
  const found = await lines(t, [deny], ["--attribute", `api.service=a"b;c $d&e{f}'\\g`]);
  const [asked] = found.filter((line) => line.includes("/v1/authz/nginx?"));
  t.regex(asked!, /^proxy_pass "[^"\\;${}\s]*api\.service=a%22b%3Bc%20%24d%26e%7Bf%7D'%5Cg";$/);
});

test("callers' certificates count only where nginx has verified them", async (t) => {
  const rules = [deny];
  const tls = ["--listen-cert", "c.pem", "--listen-key", "k.pem", "--listen-ca", "ca.pem"];
  for (const args of [["--client-certificates"], tls]) {
    const found = await lines(t, rules, args);
    t.true(found.includes("map $ssl_client_verify $weir_client_certificate {"));
    t.true(found.includes("SUCCESS $ssl_client_escaped_cert;"));
    t.true(found.includes("proxy_set_header X-Original-Certificate $weir_client_certificate;"));
    t.true(found.some((line) => line.includes("certificate=x-original-certificate")));
  }
  t.false((await lines(t, rules)).join("\n").includes("ertificate"));
});

test("TLS to the hub is verified", async (t) => {
  const found = await lines(t, [deny], ["--tls-ca", "ca.pem", "--tls-cert", "c.pem", "--tls-key", "k.pem"]);
  t.is(found.filter((line) => line === "proxy_ssl_verify on;").length, 2);
  t.is(found.filter((line) => line.startsWith("proxy_pass https://weir_hub")).length, 2);
  t.true(found.includes("proxy_ssl_certificate_key k.pem;"));
});

const wrong: readonly (readonly [args: readonly string[], message: RegExp])[] = [
  [["--fail-open", "--fail-closed"], /cannot be used with/],
  [["--hub", "nowhere"], /HOST:PORT/],
  [["--listen-ca", "ca.pem"], /--listen-ca needs --listen-cert/],
  [["--tls-cert", "c.pem"], /--tls-cert needs --tls-key/],
  [["--attribute", "destination.prt=1"], /did you mean "destination.port"/],
  [["--fragment", "all"], /Allowed choices are server, http, locations, location/],
];

for (const [args, message] of wrong) {
  test(`a command line that makes no sense is said: ${args.join(" ")}`, async (t) => {
    const { err, exitCode } = await printed(t, [deny], args);
    t.regex(err, message);
    t.is(exitCode, 1);
  });
}

test("mistakes in policies are told as weir validate does, and nothing is printed", async (t) => {
  const { out, err, exitCode } = await printed(t, ["name: it, deni: permission_denied"]);
  t.is(out, "");
  t.regex(err, /error\[WEIR_POLICY/);
  t.is(exitCode, 1);
});
