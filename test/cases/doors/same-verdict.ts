/**
 * What every door must judge alike: policies, and requests with what becomes of them. A test runs each request through
 * all doors that can carry its attributes.
 */

/** The doors that judge a request. */
export type DoorName = "Mixer" | "stream" | "HTTP" | "ext_authz" | "authz";

export type Attributes = Readonly<Record<string, string | Readonly<Record<string, string>>>>;

export interface DoorCase {
  readonly title: string;
  readonly given: Attributes;
  /** gRPC code of the verdict. */
  readonly code: number;
  readonly message?: RegExp;
  /** The direct response, as `STATUS BODY`. */
  readonly http?: string;
  /** Whether it rests on the absence of a map, so that Mixer's clients must not keep what others may. */
  readonly restsOnAbsentMap?: true;
  /** Doors that cannot carry its attributes. */
  readonly notAt?: readonly DoorName[];
}

export const doorPolicies = `
policy: acl
match: destination.service.name == "acl"
check:
  - name: only-web
    deny: permission_denied
    unless: source.namespace == "web"
    message: only web
  - name: inside
    deny: unauthenticated
    when: has(source.ip) && !inCidr(source.ip, "10.0.0.0/8")
    message: only from inside
    http: { status: 418, body: tea }
---
policy: list
match: destination.service.name == "list"
check:
  - name: partners
    ask: partners
    with: { value: 'request.headers["x-partner"]' }
---
policy: tags
match: destination.service.name == "tags"
check:
  - name: tag
    headers:
      request: { set: { x-plan: 'request.auth.claims["plan"]' }, remove: [x-debug] }
      response: { append: { x-served: '"weir"' } }
---
policy: watched
mode: observe
match: destination.service.name == "watched"
check:
  - name: all
    deny: internal
---
policy: params
match: destination.service.name == "params"
check:
  - name: no-debug
    deny: permission_denied
    when: has(request.query_params["debug"])
  - name: no-admin
    deny: permission_denied
    when: has(request.query_params["role"]) && request.query_params["role"] == "admin"
---
policy: hosts
match: destination.service.name == "hosts"
check:
  - name: not-admin
    deny: permission_denied
    when: request.host == "admin.example"
---
policy: limits
match: destination.service.name == "limits"
check:
  - name: two
    limit: 2/h
    by: { who: source.principal }
---
policy: deny-list
match: destination.service.name == "deny-list"
check:
  - name: admin
    deny: permission_denied
    when: request.url_path == "/admin" || request.url_path.startsWith("/admin/")
    message: not the admin pages
---
policy: allow-list
match: destination.service.name == "allow-list"
check:
  - name: public
    deny: permission_denied
    unless: request.url_path == "/public" || request.url_path.startsWith("/public/")
    message: only public pages
`;

const on = (service: string, attributes: Attributes = {}): Attributes => ({
  "destination.service.name": service,
  ...attributes,
});

export const doorCases: readonly DoorCase[] = [
  { title: "no rule applies", given: on("nobody"), code: 0 },
  { title: "an unless that holds", given: on("acl", { "source.namespace": "web" }), code: 0 },
  { title: "an unless that is absent", given: on("acl"), code: 7, message: /only web/ },
  {
    title: "an address outside",
    given: on("acl", { "source.namespace": "web", "source.ip": "192.0.2.1" }),
    code: 16,
    message: /only from inside/,
    http: "418 tea",
  },
  {
    title: "two refusals, of which the first by name gives the code",
    given: on("acl", { "source.ip": "192.0.2.1" }),
    code: 16,
    message: /only from inside.*only web/,
    http: "418 tea",
  },
  {
    title: "an address inside, as IPv4 within IPv6",
    given: on("acl", { "source.namespace": "web", "source.ip": "::ffff:10.1.2.3" }),
    code: 0,
  },
  { title: "an entry on a list", given: on("list", { "request.headers": { "x-partner": "acme" } }), code: 0 },
  { title: "one that is not", given: on("list", { "request.headers": { "x-partner": "evil" } }), code: 7 },
  { title: "an empty map", given: on("list", { "request.headers": {} }), code: 7 },
  {
    title: "header operations",
    given: on("tags", { "request.auth.claims": { plan: "gold" } }),
    code: 0,
  },
  {
    title: "a header whose value is absent",
    given: on("tags", { "request.auth.claims": { other: "x" } }),
    code: 0,
  },
  { title: "a policy that observes", given: on("watched"), code: 0 },
  {
    title: "a parameter of the query",
    given: on("params", { "request.path": "/x?a=1&debug=1" }),
    code: 7,
    restsOnAbsentMap: true,
  },
  {
    title: "a parameter that is not there",
    given: on("params", { "request.path": "/x?a=debug" }),
    code: 0,
    restsOnAbsentMap: true,
  },
  {
    title: "a parameter behind a fragment, which some services take for one",
    given: on("params", { "request.path": "/x?a=debug#&debug=1" }),
    code: 7,
    restsOnAbsentMap: true,
  },
  {
    title: "a parameter behind a second question mark, which belongs to its name",
    given: on("params", { "request.path": "/x??debug=1" }),
    code: 0,
    restsOnAbsentMap: true,
  },
  {
    title: "a parameter with two values, of which some services take the last",
    given: on("params", { "request.path": "/x?role=user&role=admin" }),
    code: 7,
    restsOnAbsentMap: true,
  },
  {
    title: "a parameter that comes twice with one value",
    given: on("params", { "request.path": "/x?role=user&role=user" }),
    code: 0,
    restsOnAbsentMap: true,
  },
  { title: "a host", given: on("hosts", { "request.host": "admin.example" }), code: 7 },
  { title: "the same host in other letters", given: on("hosts", { "request.host": "Admin.EXAMPLE" }), code: 7 },
  { title: "the same host with a dot at its end", given: on("hosts", { "request.host": "admin.example." }), code: 7 },
  { title: "another host", given: on("hosts", { "request.host": "shop.example" }), code: 0 },
];

/**
 * Paths, most of them written so that they slip by an ACL that looks at them as they stand: what becomes of each where
 * `/admin` and all below it is denied, and where only `/public` and all below it is allowed.
 */
export const pathCases: readonly (readonly [path: string, denyList: number, allowList: number])[] = [
  ["/admin", 7, 7],
  ["/admin/users", 7, 7],
  ["/admin?x=1", 7, 7],
  ["/admin/", 7, 7],
  ["/public/a", 0, 0],
  ["/public", 0, 0],
  ["/administrator", 0, 7],
  ["/ADMIN", 0, 7],
  ["//admin", 7, 7],
  ["/admin//users", 7, 7],
  ["///admin///", 7, 7],
  ["/./admin", 7, 7],
  ["/admin/.", 7, 7],
  ["/public/../admin", 7, 7],
  ["/public/./../admin", 7, 7],
  ["/../admin", 7, 7],
  ["/public/%2e%2e/admin", 7, 7],
  ["/public/%2E%2e/admin", 7, 7],
  ["/public/.%2E/admin", 7, 7],
  ["/%2e/admin", 7, 7],
  ["/%61dmin", 7, 7],
  ["/%61%64%6d%69%6E", 7, 7],
  ["/admin;x=1", 7, 7],
  ["/admin;/users", 7, 7],
  ["/public/..;/admin", 7, 7],
  ["/public/..;x=1/admin", 7, 7],
  ["/public/%2e%2e;/admin", 7, 7],
  ["/public//../admin", 7, 7],
  ["/public%2f..%2fadmin", 7, 7],
  ["/public%2F..%2fadmin", 7, 7],
  ["/public%5c..%5Cadmin", 7, 7],
  ["/admin%00", 7, 7],
  ["/public/%c0%ae%c0%ae/admin", 7, 7],
  // What stays encoded is another path: `doors.encodedSlash: refuse` is for services that decode it.
  ["/%2fadmin", 0, 7],
  ["/public%2fa", 0, 7],
  ["/public#/../admin", 7, 7],
  ["/admin#x", 7, 7],
  ["/%252e%252e/admin", 0, 7],
  ["/%2561dmin", 0, 7],
];

/** Paths that are refused with `doors.encodedSlash: refuse`, and some that are not. */
export const encodedSlashCases: readonly (readonly [path: string, code: number])[] = [
  ["/a/b", 0],
  ["/a%2fb", 3],
  ["/a%2Fb", 3],
  ["/a%5cb", 3],
  ["/a\\b", 3],
  ["/a/..;/b", 3],
  ["/a?b=%2f", 0],
  ["/a%252fb", 0],
];
