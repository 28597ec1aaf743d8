import type { IncomingMessage } from "node:http";
import { setImmediate } from "node:timers/promises";
import { expositionFormat, expositionTypes } from "../util/exposition.ts";
import { WeirError } from "../util/weir-error.ts";
import type { ConsoleOptions } from "./console.ts";
import { describeAdapter, describePolicies, describeStatus, whyNotReady } from "./describe.ts";
import { describeGraph } from "./graph-page.ts";
import { readJsonBody } from "./json-body.ts";
import { changeLimit, describeLimits, type LimitsRequest } from "./limits.ts";
import { scrape } from "./scrape.ts";

export interface PageRequest extends ConsoleOptions {
  /** The `Accept` header. */
  readonly accept: string | undefined;
  /** Whether the request is one of a scraper. */
  readonly isScrape: () => boolean;
  /** Whose token the request came with; `undefined` where none is asked for. */
  readonly person: string | undefined;
  /** What stands in the path behind that of the page, without a slash at its end. */
  readonly rest: string;
  readonly query: URLSearchParams;
}

/** A request that changes something. */
export interface PageChange extends PageRequest {
  readonly request: IncomingMessage;
  /** Whose token it came with, or the address that it came from where tokens are not asked for. */
  readonly who: string;
}

export interface PageAnswer {
  /** Default 200. */
  readonly status?: number;
  readonly type: string;
  readonly body: string | AsyncIterable<string>;
  /** Called once a body that comes in pieces was handed over whole. */
  readonly delivered?: () => void;
}

/** One path of the console. */
export interface Page {
  readonly title: string;
  /** Whether the answer may be large, and few of them are given at once. */
  readonly long?: true;
  /** Whether paths below this one are its own too. */
  readonly tree?: true;
  answer(request: PageRequest): PageAnswer | Promise<PageAnswer>;
  /** Answers a POST. Left out: it takes none. */
  change?(request: PageChange): Promise<PageAnswer>;
}

const plainText = "text/plain; charset=utf-8";
const jsonType = "application/json; charset=utf-8";

/** All pages, by path, in the order of the index. */
export const pages: ReadonlyMap<string, Page> = new Map<string, Page>([
  ["/", { title: "this list", answer: ({ hub }) => ({ type: plainText, body: indexText(hub.version) }) }],
  ["/healthz", { title: "200 while the process lives", answer: () => json({ status: "ok" }) }],
  [
    "/readyz",
    {
      title: "200 while the hub should get traffic, else 503 and why not",
      answer({ hub }) {
        const reasons = whyNotReady(hub);
        return json({ ready: reasons.length === 0, reasons }, reasons.length === 0 ? 200 : 503);
      },
    },
  ],
  [
    "/metrics",
    {
      title: "metrics for Prometheus: the hub's own and those of policies",
      long: true,
      answer({ hub, log, timers, accept, isScrape }) {
        const format = expositionFormat(accept);
        let tell: (isTaken: boolean) => void = () => undefined;
        const taken = new Promise<boolean>((resolve) => (tell = resolve));
        const body = scrape(hub, { format, taken }, log, timers);
        return { type: expositionTypes[format], body, delivered: () => tell(isScrape()) };
      },
    },
  ],
  [
    "/status",
    {
      title: "version, listeners, what is loaded, how the last reload went",
      answer: ({ hub, now, person }) => json(describeStatus(hub, now(), person)),
    },
  ],
  [
    "/policies",
    {
      title: "every policy and rule that serves",
      long: true,
      answer: ({ hub }) => ({ type: jsonType, body: policiesText(hub) }),
    },
  ],
  [
    "/adapters",
    {
      title: "adapter instances, their configuration without secrets, whether they are ready",
      answer: ({ hub }) => json({ adapters: hub.adapters().map(describeAdapter) }),
    },
  ],
  [
    "/graph",
    {
      title: "who calls whom: rate, failures and latency of each edge over the last minutes",
      answer({ hub }) {
        const graph = hub.graph();
        if (graph === undefined) throw new WeirError("WEIR_NOT_FOUND", "telemetry.graph of weir.yaml is off");
        return json(describeGraph(graph));
      },
    },
  ],
  [
    "/limits",
    {
      title: "limits; /limits/POLICY/RULE: its most used keys, or where one stands; POST .../reset and .../grant",
      long: true,
      tree: true,
      answer: async (request) => json(await describeLimits(limitsRequest(request))),
      change: async (change) =>
        json(await changeLimit(limitsRequest(change), await readJsonBody(change.request), change.who)),
    },
  ],
  [
    "/refusals",
    {
      title: "the last requests that were refused: by which rule, and what it rests on",
      long: true,
      answer: ({ hub }) => ({ type: jsonType, body: refusalsText(hub) }),
    },
  ],
  ["/version", { title: "Weir's version", answer: ({ hub }) => json({ version: hub.version }) }],
]);

/** The page of a path, and what the path says beyond it. */
export function findPage(path: string): { readonly page: Page; readonly rest: string } | undefined {
  const page = pages.get(path);
  if (page !== undefined) return { page, rest: "" };
  const end = path.indexOf("/", 1);
  const above = end < 0 ? undefined : pages.get(path.slice(0, end));
  return above?.tree === true ? { page: above, rest: path.slice(end + 1).replace(/\/$/, "") } : undefined;
}

function limitsRequest({ hub, rest, query }: PageRequest): LimitsRequest {
  // The name of a level has a `#`, which a path holds only encoded.
  return { limits: hub.limits, path: rest.replaceAll("%23", "#"), query };
}

function json(value: unknown, status = 200): PageAnswer {
  return { status, type: jsonType, body: `${JSON.stringify(value, undefined, 2)}\n` };
}

function indexText(version: string): string {
  const width = Math.max(...[...pages.keys()].map((path) => path.length));
  const lines = [...pages].map(([path, { title }]) => `${path.padEnd(width)}  ${title}\n`);
  return `Weir ${version}\n\n${lines.join("")}`;
}

/** One refusal a line, some at a time, so that checks are answered between them. */
async function* refusalsText(hub: PageRequest["hub"]): AsyncGenerator<string> {
  const refusals = hub.refusals();
  yield '{"refusals": [';
  for (let i = 0; i < refusals.length; i += 100) {
    const lines = refusals.slice(i, i + 100).map((refusal) => `\n  ${JSON.stringify(refusal)}`);
    yield (i === 0 ? "" : ",") + lines.join(",");
    await setImmediate();
  }
  yield "\n]}\n";
}

/** One policy after the other, so that checks are answered between two of them. */
async function* policiesText(hub: PageRequest["hub"]): AsyncGenerator<string> {
  const loaded = hub.loaded();
  yield `{\n  "version": ${JSON.stringify(loaded?.version ?? null)},\n  "policies": [`;
  let separator = "\n";
  for (const policy of loaded === undefined ? [] : describePolicies(loaded)) {
    yield separator + JSON.stringify(policy, undefined, 2).replace(/^/gm, "    ");
    separator = ",\n";
    await setImmediate();
  }
  yield "\n  ]\n}\n";
}
