import { randomBytes } from "node:crypto";
import type { JetStreamClient } from "@nats-io/jetstream";
import type { Exported, Host, LogEntry, Methods } from "weir/sdk";
import { textOf, type Connection } from "./connection.ts";
import type { SubjectTemplate } from "./subject.ts";

export interface LogPublisherOptions {
  readonly connection: Connection;
  /** Left out: nobody says that a message was stored. */
  readonly jetstream: (() => JetStreamClient | undefined) | undefined;
  readonly subject: SubjectTemplate;
  readonly timeoutMs: number;
  readonly host: Pick<Host, "count" | "log">;
}

/** What the headers of a message and its subject may take of the most that a server takes. */
const headroom = 1024;

/**
 * Publishes log entries, a message each. With JetStream an entry is delivered when a stream has said that it has it, and
 * one that is offered again has the message id of the first time. Without, it is delivered when the server has answered
 * a ping that was sent behind it.
 */
export function createLogPublisher(options: LogPublisherOptions): Methods<never>["logs"] {
  const { connection, jetstream, subject, timeoutMs, host } = options;
  const messageIds = new MessageIds();
  const away = (): Exported => ({ delivered: 0, retry: true, reason: `nats is away: ${connection.reason()}` });

  return async (entries, { signal }) => {
    const nats = connection.current();
    const stream = jetstream?.();
    if (nats === undefined || (jetstream !== undefined && stream === undefined)) return away();
    const maxBytes = (nats.info?.max_payload ?? 1_048_576) - headroom;
    const sent: (Promise<unknown> | undefined)[] = [];
    const tooLarge: number[] = [];
    for (const entry of entries) {
      const payload = Buffer.from(payloadOf(entry));
      // One that is too large never will be taken; those around it are.
      if (payload.length > maxBytes) tooLarge.push(sent.length);
      if (payload.length > maxBytes) sent.push(undefined);
      else if (stream === undefined) {
        nats.publish(subject.of(entry), payload);
        sent.push(undefined);
      } else sent.push(stream.publish(subject.of(entry), payload, { msgID: messageIds.of(entry), timeout: timeoutMs }));
    }
    if (stream === undefined) sent.push(nats.flush());
    const failure = await firstFailure(sent, signal);
    const delivered = failure === undefined ? entries.length : stream === undefined ? 0 : failure.position;
    host.count("too_large", tooLarge.filter((position) => position < delivered).length);
    return failure === undefined ? undefined : { delivered, retry: true, reason: textOf(failure.error) };
  };
}

/** Waits for all; answers the first that failed. One that is not there within the call's time has failed. */
async function firstFailure(
  sent: readonly (Promise<unknown> | undefined)[],
  signal: AbortSignal,
): Promise<{ readonly position: number; readonly error: unknown } | undefined> {
  let stop = (): void => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(new Error("not answered in time"));
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
  aborted.catch(() => undefined);
  const settled = await Promise.allSettled(sent.map((each) => Promise.race([each, aborted])));
  signal.removeEventListener("abort", stop);
  const position = settled.findIndex(({ status }) => status === "rejected");
  if (position < 0) return undefined;
  return { position, error: (settled[position] as PromiseRejectedResult).reason };
}

function payloadOf({ name, timeMs, severity, fields }: LogEntry): string {
  return JSON.stringify({ time: new Date(timeMs).toISOString(), severity, log: name, fields });
}

/** The ids of entries, the same for as long as the entry is offered. */
class MessageIds {
  readonly #prefix = randomBytes(12).toString("base64url");
  readonly #known = new WeakMap<LogEntry, string>();
  #next = 0;

  of(entry: LogEntry): string {
    let id = entry.id ?? this.#known.get(entry);
    if (id === undefined) this.#known.set(entry, (id = `${this.#prefix}-${this.#next++}`));
    return id;
  }
}
