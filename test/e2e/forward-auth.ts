import type { ExecutionContext } from "ava";
import type { ForwardAuthCase } from "../cases/doors/forward-auth.ts";
import { ask, type Answered, type Seen, type Service } from "./proxied-service.ts";

/** A proxy before a service, as a case goes through it. */
export interface Passage {
  readonly port: number;
  readonly service: Service;
  /** What the proxy has to say of a status that is not the expected one. */
  readonly stderr: () => string;
  /** Compares a header that the service got, where the proxy writes headers in a way of its own. Default: they are the same. */
  readonly sameHeader?: (came: Seen["headers"][string], expected: string | undefined, name: string) => void;
}

/** Sends the request of a case through a proxy, and compares what its caller and the service get. */
export async function judgeThrough(
  t: ExecutionContext,
  { title, path, status, answer, answerHeaders = {}, seen = {}, ...asked }: ForwardAuthCase,
  { port, service, stderr, sameHeader = (came, expected, name) => t.is(came, expected, name) }: Passage,
): Promise<Answered> {
  const before = service.count();
  const got = await ask(port, path, asked);
  t.is(got.status, status, `${title}\n${stderr()}`);
  if (answer !== undefined) t.is(got.body, answer);
  for (const [name, value] of Object.entries(answerHeaders)) t.is(got.headers[name], value, name);
  const passed = status === 200 || path.startsWith("/status/");
  t.is(service.count() - before, passed ? 1 : 0);
  if (!passed) return got;
  const came = JSON.parse(got.body) as Seen;
  t.like(came, { method: asked.method ?? "GET", url: path, body: asked.body ?? "" });
  for (const [name, value] of Object.entries(seen)) sameHeader(came.headers[name], value, name);
  return got;
}
