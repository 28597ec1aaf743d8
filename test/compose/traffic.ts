import { randomBytes } from "node:crypto";
import { addresses } from "./services.ts";

/** A caller's span, in which requests are sent. */
export interface Caller {
  readonly trace: string;
  readonly span: string;
}

export function newCaller(): Caller {
  return { trace: randomBytes(16).toString("hex"), span: randomBytes(8).toString("hex") };
}

export const traceparent = ({ trace, span }: Caller): string => `00-${trace}-${span}-01`;

/** The requests that were sent through Envoy, by what they were answered. */
export interface Traffic {
  /** Sends a request; its answer's status and body. */
  send(
    path: string,
    headers?: Readonly<Record<string, string>>,
  ): Promise<{ status: number; headers: Headers; text: string }>;
  /** Sends so many at once; how many were answered with each status. */
  burst(requests: number): Promise<Readonly<Record<number, number>>>;
  /** How many were answered with a status, of all that were sent. */
  answered(status: number): number;
}

export function openTraffic(): Traffic {
  const byStatus = new Map<number, number>();
  const send: Traffic["send"] = async (path, headers = {}) => {
    const response = await fetch(addresses.shop + path, { headers, signal: AbortSignal.timeout(20_000) });
    byStatus.set(response.status, (byStatus.get(response.status) ?? 0) + 1);
    return { status: response.status, headers: response.headers, text: await response.text() };
  };
  return {
    send,
    async burst(requests) {
      const answers = await Promise.all(Array.from({ length: requests }, () => send("/burst")));
      const found: Record<number, number> = {};
      for (const { status } of answers) found[status] = (found[status] ?? 0) + 1;
      return found;
    },
    answered: (status) => byStatus.get(status) ?? 0,
  };
}
