import { CheckRequest, ReportRequest } from "../../src/wire/gen/istio/mixer/v1/mixer.ts";
import { type Attributes, compress, type Sent, Words } from "./compressed.ts";
import { type Random, seeded } from "./random.ts";

/** The mesh that the load comes from. Policies of the bench name the same services and teams. */
export const teams = Array.from({ length: 25 }, (_, i) => `team-${String(i).padStart(2, "0")}`);

export function serviceName(index: number): string {
  return `service-${String(index).padStart(4, "0")}`;
}

function userName(index: number): string {
  return `user-${String(index).padStart(6, "0")}`;
}

/** The time that all requests are about: 2026-01-01, 12:00 UTC. */
const noon = Date.UTC(2026, 0, 1, 12);

const callers = ["frontend", "gateway", "checkout", "search", "mobile-api", "batch", "reports", "partners"];
const agents = ["okhttp/4.12.0", "Mozilla/5.0 (X11; Linux x86_64)", "grpc-node-js/1.14.7", "curl/8.5.0"];
const resources = ["orders", "carts", "products", "users", "reviews", "invoices", "shipments", "sessions"];
const codes = [200n, 201n, 404n, 429n, 503n];

function address(random: Random): Uint8Array {
  return Uint8Array.of(10, random.below(256), random.below(256), 1 + random.below(254));
}

/** The 30 attributes of a check, as an Istio 1.3 sidecar at the server's side sends them: about 790 bytes. */
function checkAttributes(random: Random, service: number, user: number): Attributes {
  const caller = random.pick(callers);
  const from = random.pick(teams);
  const to = teams[service % teams.length]!;
  const name = serviceName(service);
  const resource = random.pick(resources);
  const path = `/api/v1/${resource}/${random.below(1_000_000)}`;
  const agent = random.pick(agents);
  const id = random.hex(16);
  const method = random.pick(["GET", "GET", "GET", "POST"]);
  const host = `${name}.${to}.svc.cluster.local`;
  return new Map<string, Sent>([
    ["source.uid", `kubernetes://${caller}-${random.hex(5)}.${from}`],
    ["source.namespace", from],
    ["source.workload.name", caller],
    ["source.workload.namespace", from],
    ["source.principal", `cluster.local/ns/${from}/sa/${caller}`],
    ["source.ip", address(random)],
    ["destination.uid", `kubernetes://${name}-${random.hex(5)}.${to}`],
    ["destination.namespace", to],
    ["destination.ip", address(random)],
    ["destination.port", 9080n],
    ["destination.service.host", host],
    ["destination.service.name", name],
    ["destination.service.namespace", to],
    ["destination.workload.name", name],
    ["destination.workload.namespace", to],
    [
      "request.headers",
      new Map([
        ["x-request-id", id],
        ["x-b3-traceid", id],
        ["x-b3-spanid", id],
        ["x-b3-sampled", "1"],
        ["x-session", random.hex(64)],
        ["referer", `https://shop.example/${resource}`],
        ["x-forwarded-proto", "http"],
        ["accept", "application/json"],
        ["user-agent", agent],
        ["content-length", String(random.below(2000))],
      ]),
    ],
    ["request.host", name],
    ["request.method", method],
    ["request.path", `${path}?page=${random.below(50)}`],
    ["request.url_path", path],
    ["request.scheme", "http"],
    ["request.useragent", agent],
    ["request.time", { time: noon + random.below(3_600_000) }],
    ["request.id", id],
    ["request.auth.principal", `https://login.example/${userName(user)}`],
    ["context.protocol", "http"],
    ["context.reporter.kind", "inbound"],
    ["context.reporter.uid", `kubernetes://${name}.${to}`],
    ["connection.mtls", true],
    ["origin.ip", address(random)],
  ]);
}

export interface CheckOptions {
  readonly seed: number;
  readonly count: number;
  /** How many services are called. */
  readonly services: number;
  /** How many users call; when there are as many as requests, each comes once. */
  readonly users: number;
  /** Texts that all requests have instead of their own. */
  readonly instead?: Readonly<Record<string, string>>;
}

/** Different `istio.mixer.v1.CheckRequest` messages, encoded; the same for the same options. */
export function checkRequests(options: CheckOptions): Uint8Array[] {
  const random = seeded(options.seed);
  return Array.from({ length: options.count }, (_, i) => {
    const user = options.users >= options.count ? i : random.below(options.users);
    const own = checkAttributes(random, random.below(options.services), user);
    const words = new Words();
    const attributes = compress(new Map([...own, ...Object.entries(options.instead ?? {})]), words);
    attributes.words = words.own;
    const request = { attributes, globalWordCount: 222, deduplicationId: "", quotas: new Map() };
    return CheckRequest.encode(request).finish();
  });
}

/** How many label sets {@link reportRequests} makes. */
export const reportSeries = 1000;

/** One served request of the mesh's `series`, with the labels of Istio's standard metrics and what differs each time. */
function reportAttributes(random: Random, series: number): Attributes {
  const code = codes[series % 5]!;
  const source = Math.floor(series / 5) % 20;
  const destination = Math.floor(series / 100);
  const caller = `${callers[source % callers.length]!}-${source}`;
  const from = teams[source]!;
  const to = teams[destination]!;
  const name = serviceName(destination);
  const path = `/api/v1/${random.pick(resources)}/${random.below(1_000_000)}`;
  const time = noon + random.below(3_600_000);
  const ms = 1 + random.below(400_000) / 1000;
  const size = BigInt(random.below(20_000));
  return new Map<string, Sent>([
    ["source.workload.name", caller],
    ["source.workload.namespace", from],
    ["source.principal", `cluster.local/ns/${from}/sa/${caller}`],
    [
      "source.labels",
      new Map([
        ["app", caller],
        ["version", "v1"],
      ]),
    ],
    ["destination.workload.name", name],
    ["destination.workload.namespace", to],
    ["destination.principal", `cluster.local/ns/${to}/sa/${name}`],
    [
      "destination.labels",
      new Map([
        ["app", name],
        ["version", "v3"],
      ]),
    ],
    ["destination.service.host", `${name}.${to}.svc.cluster.local`],
    ["destination.service.name", name],
    ["destination.service.namespace", to],
    ["context.protocol", "http"],
    ["context.reporter.kind", "inbound"],
    ["context.proxy_error_code", "-"],
    ["connection.mtls", true],
    ["request.path", path],
    ["request.method", "GET"],
    ["request.time", { time }],
    ["request.size", BigInt(random.below(2000))],
    ["response.time", { time: time + ms }],
    ["response.duration", { duration: ms }],
    ["response.code", code],
    ["response.size", size],
    ["response.total_size", size + 180n],
  ]);
}

export interface ReportOptions {
  readonly seed: number;
  readonly count: number;
  /** Records in one message. */
  readonly records: number;
}

/**
 * Different `istio.mixer.v1.ReportRequest` messages as a sidecar sends them: records of one destination, each written as
 * what differs from the one before (DELTA_ENCODING), with the words of the whole batch in `default_words`.
 */
export function reportRequests(options: ReportOptions): Uint8Array[] {
  const random = seeded(options.seed);
  return Array.from({ length: options.count }, (_, i) => {
    const words = new Words();
    const first = (i % 10) * 100;
    let before: Attributes = new Map();
    const attributes = Array.from({ length: options.records }, () => {
      const now = reportAttributes(random, first + random.below(100));
      const changed = new Map([...now].filter(([name, value]) => !same(before.get(name), value)));
      before = now;
      return compress(changed, words);
    });
    return ReportRequest.encode({
      attributes,
      defaultWords: words.own,
      globalWordCount: 222,
      repeatedAttributesSemantics: 0,
    }).finish();
  });
}

function same(a: Sent | undefined, b: Sent): boolean {
  if (a instanceof Map && b instanceof Map) return [...b].every(([key, value]) => a.get(key) === value);
  return a === b;
}
