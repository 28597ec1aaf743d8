import { Bag } from "../../../attributes/bag.ts";
import type { Layout } from "../../../attributes/layout.ts";
import type { Observer } from "../../../util/observer.ts";
import { WeirError } from "../../../util/weir-error.ts";
import type { Client } from "../../client.ts";
import type { Session } from "../../session.ts";
import type { WordCache } from "../../mixer/word-cache.ts";
import type { Connections } from "./connections.ts";
import { EntryDecoder } from "./entry-decoder.ts";
import type { Proxy } from "./proxy.ts";

/** One log: what is known of its writer. */
export interface Log {
  proxy: Proxy;
  /** Tells the connections of this writer from those of others. */
  scope: string;
  readonly client: Client | undefined;
  /** Whether entries have come that were written before the end of their connection. */
  hasGoing: boolean;
}

/** What became of an entry. `full`: a queue had no room; nothing that is left of the entry was taken. */
export type EntryOutcome = "done" | "full";

/**
 * Turns entries into records. An HTTP entry is a record when it ends its request: it then has all that entries before
 * it had. An entry of a connection is a record of what is new since the entry before it.
 */
export class EntryReports {
  readonly #decoder = new EntryDecoder();
  readonly #observer: Observer;
  readonly #connections: Connections;
  #bag: Bag | undefined;

  constructor(observer: Observer, connections: Connections) {
    this.#observer = observer;
    this.#connections = connections;
  }

  /** The texts that entries have in common. */
  get words(): WordCache {
    return this.#decoder.entry.words;
  }

  /** Says what message the next entries are in. `view` shows the whole memory of the buffer. */
  begin(layout: Layout, buffer: Buffer, view: DataView): void {
    if (this.#bag?.layout !== layout) this.#bag = new Bag(layout);
    this.#decoder.begin(layout, buffer, view);
  }

  /** Reports the entry between two positions of the message. One that is malformed is counted and done. */
  report(session: Session, log: Log, start: number, end: number, isTcp: boolean): EntryOutcome {
    const decoder = this.#decoder;
    const bag = this.#bag!;
    try {
      decoder.read(start, end, isTcp);
      const { moment } = decoder.entry;
      if (moment === "attempt") {
        this.#observer.dropped("record", "upstream_attempt", 1);
        return "done";
      }
      if (moment !== "end") log.hasGoing ||= isTcp;
      if (moment !== "end" && !(isTcp && decoder.readsEvent)) return "done";
      decoder.fill(bag, log.proxy, log.client);
    } catch (error) {
      if (!(error instanceof WeirError)) throw error;
      this.#observer.dropped("record", "malformed", 1);
      return "done";
    }
    if (isTcp) return this.#reportConnection(session, log, bag);
    return session.report(bag) === "full" ? "full" : "done";
  }

  /** How many custom tags were left out, because the caller may not set their attribute, since the last call. */
  takeRefusedTags(): number {
    return this.#decoder.takeRefusedTags();
  }

  #reportConnection(session: Session, log: Log, bag: Bag): EntryOutcome {
    const decoder = this.#decoder;
    const { entry } = decoder;
    const { receivedBytes, sentBytes, startMs, moment } = entry;
    const isEnd = moment === "end";
    if (!decoder.readsEvent) {
      // No rule tells the entries of a connection apart: its one record is its end.
      decoder.putEvent(bag, "close", receivedBytes, sentBytes);
      return session.report(bag) === "full" ? "full" : "done";
    }
    const connections = this.#connections;
    const id = `${log.scope}\n${entry.id}`;
    const mayLack = moment === "going" || (isEnd && log.hasGoing);
    const { received, sent, isFirst, isUnknown } = connections.difference(id, entry, mayLack);
    if (isFirst) {
      const isStart = moment === "start";
      const [first, firstSent] = isStart ? [receivedBytes, sentBytes] : [0, 0];
      decoder.putEvent(bag, "open", first, firstSent);
      if (session.report(bag) === "full") return "full";
      connections.remember(id, first, firstSent, startMs);
      if (isStart) return "done";
      bag.clearReads();
    }
    decoder.putEvent(bag, isEnd ? "close" : "continue", received, sent);
    if (session.report(bag) === "full") return "full";
    if (isEnd) connections.forget(id);
    else connections.remember(id, receivedBytes, sentBytes, startMs);
    if (isUnknown) this.#observer.dropped("connection_bytes", "unknown_start", 1);
    return "done";
  }
}
