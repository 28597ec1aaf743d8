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
import type { Requests } from "./requests.ts";

/** One log: what is known of its writer. */
export interface Log {
  proxy: Proxy;
  /** Tells the requests and connections of this log from those of others. */
  scope: string;
  readonly client: Client | undefined;
  /** When its entries began to come here, in epoch milliseconds. */
  readonly sinceMs: number;
  /** Whether entries have come that were written before the end of their request or connection. */
  hasGoing: boolean;
}

/** What became of an entry. `full`: a queue had no room; nothing that is left of the entry was taken. */
export type EntryOutcome = "done" | "full";

/**
 * Turns entries into records. An HTTP entry is a record when it ends its request: it then has all that entries before
 * it had; those before are told only to rules that ask for requests under way. An entry of a connection is a record of what
 * is new since the entry before it.
 */
export class EntryReports {
  readonly #decoder = new EntryDecoder();
  readonly #observer: Observer;
  readonly #connections: Connections;
  readonly #requests: Requests;
  #bag: Bag | undefined;

  constructor(observer: Observer, connections: Connections, requests: Requests) {
    this.#observer = observer;
    this.#connections = connections;
    this.#requests = requests;
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
      if (moment !== "end") log.hasGoing = true;
      if (moment !== "end" && !(isTcp ? decoder.readsEvent : this.#isForOngoing(session, log))) return "done";
      decoder.fill(bag, log.proxy, log.client);
    } catch (error) {
      if (!(error instanceof WeirError)) throw error;
      this.#observer.dropped("record", "malformed", 1);
      return "done";
    }
    return isTcp ? this.#reportConnection(session, log, bag) : this.#reportRequest(session, log, bag);
  }

  /** How many custom tags were left out, because the caller may not set their attribute, since the last call. */
  takeRefusedTags(): number {
    return this.#decoder.takeRefusedTags();
  }

  /**
   * Whether an entry of a request that is still under way is a record for rules that ask for such. The first of a request is
   * none: nothing has happened yet that the next does not tell. It is remembered, so that what the next tells is known to be new.
   */
  #isForOngoing(session: Session, log: Log): boolean {
    if (session.ongoing === undefined) return false;
    const { entry } = this.#decoder;
    const requests = this.#requests;
    const id = `${log.scope}\n${entry.requestId}`;
    if (requests.hasEnded(id)) return false;
    if (entry.moment !== "start") return true;
    const { startMs } = entry;
    requests.remember(id, requests.get(id) ?? requests.first(startMs, undefined), startMs);
    return false;
  }

  #reportRequest(session: Session, log: Log, bag: Bag): EntryOutcome {
    const requests = this.#requests;
    const { moment, startMs } = this.#decoder.entry;
    const isEnd = moment === "end";
    if (isEnd && (session.ongoing === undefined || (!log.hasGoing && requests.size === 0)))
      return session.report(bag) === "full" ? "full" : "done";
    const id = `${log.scope}\n${this.#decoder.entry.requestId}`;
    const told = requests.get(id) ?? requests.first(startMs, log.hasGoing ? log.sinceMs : undefined);
    if (!isEnd) {
      session.ongoing!(bag, told);
      requests.remember(id, told, startMs);
      return "done";
    }
    if (session.report(bag, told) === "full") return "full";
    requests.end(id);
    return "done";
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
    if (!isEnd && connections.hasEnded(id)) return "done";
    const mayLack = moment === "going" || (isEnd && log.hasGoing);
    const difference = connections.difference(id, entry, mayLack ? log.sinceMs : undefined);
    const { received, sent, isFirst, isUnknown } = difference;
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
    if (isEnd) connections.end(id);
    else connections.remember(id, receivedBytes, sentBytes, startMs);
    if (isUnknown) this.#observer.dropped("connection_bytes", "unknown_start", 1);
    return "done";
  }
}
