import { compose } from "./composition.ts";

/** Where docker-compose.yml opens the services to its machine. */
export const addresses = {
  shop: "http://127.0.0.1:10000",
  doors: "http://127.0.0.1:9092",
  admin: "http://127.0.0.1:9093",
  prometheus: "http://127.0.0.1:9090",
  grafana: "http://127.0.0.1:3000",
  jaeger: "http://127.0.0.1:16686",
} as const;

const answerMs = 10_000;

/** The JSON that an address answers; rejects where it answers none or another status than 200. */
export async function ask(url: string, body?: unknown): Promise<any> {
  const posted = body !== undefined && {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  };
  const response = await fetch(url, { ...posted, signal: AbortSignal.timeout(answerMs) });
  const text = await response.text();
  if (response.status !== 200) throw new Error(`${url} answers ${response.status}: ${text.slice(0, 200)}`);
  return JSON.parse(text);
}

/**
 * Asks again and again until the answer is as it should be, and answers it. What is not yet there may also be an error.
 * Rejects after the time with what was found at last.
 */
export async function eventually<T>(asked: () => Promise<T>, holds: (answer: T) => boolean, seconds = 30): Promise<T> {
  for (const end = Date.now() + seconds * 1000; ;) {
    let found: string;
    try {
      const answer = await asked();
      if (holds(answer)) return answer;
      found = `found ${JSON.stringify(answer)?.slice(0, 300)}`;
    } catch (error) {
      found = (error as Error).message;
    }
    if (Date.now() > end) throw new Error(`after ${seconds} s: ${found}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** A series of an instant query of Prometheus. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export async function prometheusQuery(query: string): Promise<readonly Sample[]> {
  const { data } = await ask(`${addresses.prometheus}/api/v1/query?${new URLSearchParams({ query })}`);
  const result = data.result as { metric: Record<string, string>; value: [number, string] }[];
  return result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
}

/** What Grafana answers to a panel's query, at the data source of docker-compose.yml: the last value of each series. */
export async function grafanaQuery(expr: string): Promise<readonly Sample[]> {
  const query = { refId: "A", datasource: { uid: "prometheus" }, expr, instant: true, intervalMs: 5000 };
  const { results } = await ask(`${addresses.grafana}/api/ds/query`, { from: "now-5m", to: "now", queries: [query] });
  const { status, error, frames = [] } = results.A;
  if (error !== undefined || (status ?? 200) !== 200) throw new Error(`${error ?? status}: ${expr}`);
  return (frames as any[]).flatMap(({ schema, data }) => {
    const at = (schema.fields as any[]).findIndex(({ type }) => type === "number");
    const values: number[] = data.values[at] ?? [];
    return at < 0 || values.length === 0 ? [] : [{ labels: schema.fields[at].labels ?? {}, value: values.at(-1)! }];
  });
}

/** A span as Jaeger's API answers it. */
export interface JaegerSpan {
  readonly id: string;
  readonly name: string;
  readonly service: string;
  readonly parent: string | undefined;
  readonly tags: Readonly<Record<string, unknown>>;
}

/** The spans of a trace; none while Jaeger does not know it. */
export async function jaegerTrace(traceId: string): Promise<readonly JaegerSpan[]> {
  const response = await fetch(`${addresses.jaeger}/api/traces/${traceId}`, { signal: AbortSignal.timeout(answerMs) });
  if (response.status === 404) return [];
  const { data } = (await response.json()) as { data: any[] };
  return data.flatMap(({ spans, processes }) =>
    (spans as any[]).map(({ spanID, operationName, references, tags, processID }) => ({
      id: spanID,
      name: operationName,
      service: processes[processID].serviceName,
      parent: references.find(({ refType }: { refType: string }) => refType === "CHILD_OF")?.spanID,
      tags: Object.fromEntries(tags.map(({ key, value }: { key: string; value: unknown }) => [key, value])),
    })),
  );
}

/** A stream of JetStream: how many messages it ever took, and how many are still there. */
export interface StreamState {
  readonly taken: number;
  readonly waiting: number;
}

/** The stream that the hub's records wait in. NATS tells it where the hub can ask, not this machine. */
export async function journal(): Promise<StreamState> {
  const program = `fetch("http://nats:8222/jsz?streams=true").then(async (r) => console.log(await r.text()))`;
  const { account_details } = JSON.parse(await compose("exec", "-T", "weir", "node", "-e", program));
  const streams = (account_details as any[]).flatMap(({ stream_detail }) => stream_detail ?? []);
  const { state } = streams.find(({ name }) => name === "WEIR") ?? {};
  if (state === undefined) throw new Error("NATS has no stream WEIR");
  return { taken: state.last_seq, waiting: state.messages };
}
