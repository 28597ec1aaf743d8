/** Policies and requests that every proxy which asks over HTTP must come to the same with. */
export const forwardAuthPolicies = `
policy: acl
match: destination.service.name == "shop"
check:
  - name: admins
    deny: permission_denied
    when: request.url_path == "/admin" || request.url_path.startsWith("/admin/")
    unless: request.headers["x-role"] == "admin"
    message: admins only
  - name: inside
    deny: permission_denied
    when: request.path == "/inside" && !inCidr(source.ip, "10.0.0.0/8")
    message: only from inside
  - name: reading
    deny: unimplemented
    when: request.path.startsWith("/read") && !(request.method in ["GET", "HEAD"])
    http: { status: 405, body: "", headers: { allow: "GET, HEAD" } }
  - name: host
    deny: not_found
    when: request.path == "/host" && request.host != "shop.example"
  - name: query
    deny: invalid_argument
    when: has(request.query_params["debug"])
    message: no debugging
  - name: login
    deny: unauthenticated
    when: request.path == "/login"
    message: who are you?
    http: { headers: { www-authenticate: Basic realm="shop" } }
  - name: moved
    deny: permission_denied
    when: request.path == "/moved"
    http: { status: 302, body: "", headers: { location: "https://login.example/?from=shop" } }
  - name: sign-in
    deny: permission_denied
    when: request.path == "/signed-out"
    http: { status: 303, body: "", headers: { location: "/sign-in?from=shop" } }
  - name: tea
    deny: unavailable
    when: request.path == "/tea"
    http:
      status: 418
      body: "short\\nand stout ☕\\n"
      headers: { content-type: text/x-tea, x-tea: green }
  - name: closed
    deny: unavailable
    when: request.path == "/closed"
    message: closed for today
---
policy: limits
match: destination.service.name == "shop"
check:
  - name: two
    when: request.path == "/limited"
    limit: 2/h
    by: { who: 'request.headers["x-user"]' }
    message: two an hour
---
policy: tags
match: destination.service.name == "shop"
check:
  - name: tags
    headers:
      request:
        set: { x-plan: '"gold"', x-from: string(source.ip) }
        append: { x-tag: '"weir"' }
        remove: [x-debug]
  - name: only-here
    when: request.path == "/only"
    headers: { request: { set: { x-only: '"here"' } } }
`;

export interface ForwardAuthCase {
  readonly title: string;
  readonly path: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string | string[]>>;
  readonly body?: string;
  /** 200 when the request reaches the service. */
  readonly status: number;
  /** The answer's body; of a request that passes nothing is said. */
  readonly answer?: string;
  /** Headers of the answer. */
  readonly answerHeaders?: Readonly<Record<string, string>>;
  /** Headers as the service gets them; `undefined`: it does not. */
  readonly seen?: Readonly<Record<string, string | undefined>>;
}

export const forwardAuthCases: readonly ForwardAuthCase[] = [
  { title: "a request that no rule refuses passes", path: "/", status: 200 },
  {
    title: "method, path, query and body reach the service as they were sent",
    path: "/x?a=1",
    method: "POST",
    body: "x".repeat(100_000),
    status: 200,
  },
  { title: "a refusal has status and message", path: "/admin/x", status: 403, answer: "admins only" },
  { title: "a header that excuses", path: "/admin/x", headers: { "x-role": "admin" }, status: 200 },
  { title: "a method that a rule names", path: "/read/x", method: "POST", body: "x", status: 405, answer: "" },
  { title: "a method that it does not", path: "/read/x", method: "GET", status: 200 },
  { title: "the host", path: "/host", headers: { host: "evil.example" }, status: 404 },
  { title: "the host that is meant", path: "/host", status: 200 },
  { title: "a query parameter", path: "/x?a=1&debug=%31", status: 400, answer: "no debugging" },
  {
    title: "a status that asks who calls",
    path: "/login",
    status: 401,
    answer: "who are you?",
    answerHeaders: { "www-authenticate": 'Basic realm="shop"' },
  },
  {
    title: "a redirection",
    path: "/moved",
    status: 302,
    answerHeaders: { location: "https://login.example/?from=shop" },
  },
  {
    title: "a redirection within the service's own host",
    path: "/signed-out",
    status: 303,
    answerHeaders: { location: "/sign-in?from=shop" },
  },
  {
    title: "a direct response with status, body and headers",
    path: "/tea",
    status: 418,
    answer: "short\nand stout ☕\n",
    answerHeaders: { "content-type": "text/x-tea", "x-tea": "green" },
  },
  { title: "a refusal that is no failed hub", path: "/closed", status: 503, answer: "closed for today" },
  {
    title: "an address that a caller makes up",
    path: "/inside",
    headers: { "x-forwarded-for": "10.0.0.1" },
    status: 403,
  },
  {
    title: "a path that a caller makes up",
    path: "/admin/x",
    headers: {
      "x-original-uri": "/",
      "x-forwarded-uri": "/",
      "x-original-method": "HEAD",
      "x-forwarded-method": "HEAD",
      "x-original-host": "a",
    },
    status: 403,
  },
  {
    title: "an attribute that a caller makes up",
    path: "/admin?destination.service.name=other",
    headers: { "destination.service.name": "other", "x-weir-request-x-plan": "mine" },
    status: 403,
  },
  {
    title: "a decision that a caller makes up",
    path: "/admin",
    headers: { "x-weir-refusal": "e30", "x-weir-decision": "1", "x-weir-status": "200" },
    status: 403,
    answer: "admins only",
  },
  {
    title: "header operations are seen by the service, whatever the caller brought",
    path: "/x",
    headers: { "x-plan": "mine", "x-tag": "a", "x-debug": "1", "x-only": "mine", "x-other": "o" },
    status: 200,
    seen: {
      "x-plan": "gold",
      "x-from": "127.0.0.1",
      "x-tag": "a, weir",
      "x-debug": undefined,
      "x-only": "mine",
      "x-other": "o",
    },
  },
  {
    title: "a header of a rule that applies here",
    path: "/only",
    headers: { "x-only": "mine" },
    status: 200,
    seen: { "x-only": "here" },
  },
  ...[
    "//admin/x",
    "/./admin/x",
    "/x/../admin",
    "/%61dmin",
    "/x/%2e%2e/admin/x",
    "/x/%2E./admin",
    "/admin;v=1/x",
    "/admin;/x",
    "/..;/admin/x",
    "/admin//x",
    "/admin?/../x",
  ].map((path): ForwardAuthCase => ({ title: `a path that tries to slip by: ${path}`, path, status: 403 })),
  { title: "a path that only looks like it", path: "/adminx", status: 200 },
  { title: "a status of the service's own", path: "/status/403", status: 403 },
  { title: "a failure of the service's own", path: "/status/500", status: 500 },
];
