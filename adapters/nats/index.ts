import type { JetStreamClient } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { defineAdapter, type Host } from "weir/sdk";
import { natsConfig, type NatsConfig } from "./config.ts";
import { openConnection, textOf, type Connection } from "./connection.ts";
import { createNatsJournal } from "./journal.ts";
import { createLogPublisher } from "./log-publisher.ts";
import { ensureStream } from "./stream.ts";
import { openPolicyStore } from "./policy-store.ts";
import { parseSubject, type SubjectTemplate } from "./subject.ts";

/** How long after a stream could not be made that is tried again. */
const streamRetryMs = 5000;

/** Publishes log entries to NATS, each to a subject made of it, and keeps records there on their way to other adapters. */
export default defineAdapter({
  name: "nats",
  description: "log entries to subjects of NATS, and a buffer for records in JetStream",
  provides: ["logs", "journal"],
  config: natsConfig,
  policyStore: openPolicyStore,
  async create(config, host) {
    const { jetstream } = await import("@nats-io/jetstream");
    const subject = parseSubject(config.subject) as SubjectTemplate;
    let client: JetStreamClient | undefined;
    let hasStream = config.stream === undefined;
    let connection: Connection | undefined;
    const journal = createNatsJournal({ connection: () => connection?.current(), config, host });
    connection = await openConnection(config, host, async (nats) => {
      client = jetstream(nats, { timeout: config.timeout });
      await journal.connected(nats);
      hasStream ||= await makeStream(config, subject, nats, host);
    });
    host.every(streamRetryMs, async () => {
      const nats = connection!.current();
      if (!hasStream && nats !== undefined) hasStream = await makeStream(config, subject, nats, host);
    });
    return {
      logs: createLogPublisher({
        connection,
        jetstream: config.jetstream ? () => client : undefined,
        subject,
        timeoutMs: config.timeout,
        host,
      }),
      journal: () => journal,
      unready: () => (connection.current() === undefined ? connection.reason() : undefined),
      async close() {
        journal.close();
        await connection.close();
      },
    };
  },
});

/** Whether the stream is there. */
async function makeStream(
  { stream, timeout }: NatsConfig,
  subject: SubjectTemplate,
  nats: NatsConnection,
  host: Host,
): Promise<boolean> {
  if (stream === undefined) return true;
  try {
    const { jetstreamManager, RetentionPolicy } = await import("@nats-io/jetstream");
    await ensureStream(await jetstreamManager(nats, { timeout, checkAPI: false }), {
      name: stream.name,
      subjects: [subject.pattern],
      retention: RetentionPolicy.Limits,
      maxBytes: stream.maxSize,
      maxAgeMs: stream.maxAge,
      replicas: stream.replicas,
      description: "log entries of Weir",
    });
    return true;
  } catch (error) {
    host.log.warn({ stream: stream.name, reason: textOf(error) }, "the stream could not be made");
    return false;
  }
}
