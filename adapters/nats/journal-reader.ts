import { setTimeout } from "node:timers/promises";
import type { Consumer, JsMsg } from "@nats-io/jetstream";
import type { Host, StoredBatch } from "weir/sdk";
import { textOf } from "./connection.ts";

/** After how long without a word of its reader the server gives a message to another. */
export const ackWaitMs = 15_000;

/** How many messages are asked for at once, and below how many that wait more are asked for. */
const fetchMessages = 64;
const lowMessages = 32;
const fetchMs = 5000;
const pauseMs = 250;
/** How many messages that are done with are known, to tell one that comes again. */
const maxKnown = 10_000;

export interface JournalReaderOptions {
  /** The consumer of the reader; `undefined` while there is none to be had. */
  readonly consumer: () => Promise<Consumer | undefined>;
  readonly host: Pick<Host, "log">;
}

/**
 * Reads as one consumer of a stream. Every message that came is kept alive at the server until it is done with: none is
 * given to another hub because an exporter is slow.
 */
export class JournalReader {
  readonly #options: JournalReaderOptions;
  /** Messages that came and are not done with, by their number in the stream. */
  readonly #undone = new Map<number, JsMsg>();
  readonly #known = new Set<number>();
  readonly #waiting: JsMsg[] = [];
  /** Called when something came, was taken, or the end has come. */
  readonly #woken = new Set<() => void>();

  constructor(options: JournalReaderOptions) {
    this.#options = options;
  }

  async *read(signal: AbortSignal): AsyncGenerator<StoredBatch> {
    const wake = (): void => this.#wake();
    signal.addEventListener("abort", wake);
    const pumping = this.#pump(signal);
    try {
      while (!signal.aborted) {
        const message = this.#waiting.shift();
        if (message === undefined) {
          await this.#change();
          continue;
        }
        this.#wake();
        yield { bytes: message.data, done: () => this.#finish(message.seq) };
      }
    } finally {
      signal.removeEventListener("abort", wake);
      await pumping;
      for (const { seq } of this.#waiting.splice(0)) this.#giveBack(seq);
    }
  }

  /** Gives back what is not done with: another hub, or this one when it is there again, goes on with it at once. */
  close(): void {
    for (const seq of [...this.#undone.keys()]) this.#giveBack(seq);
  }

  async #pump(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      if (this.#waiting.length >= lowMessages) {
        await this.#change();
        continue;
      }
      try {
        const consumer = await this.#options.consumer();
        if (consumer === undefined) throw new Error("there is no consumer");
        const messages = await consumer.fetch({ max_messages: fetchMessages, expires: fetchMs });
        const stop = (): void => void messages.close();
        signal.addEventListener("abort", stop);
        if (signal.aborted) stop();
        for await (const message of messages) this.#take(message);
        signal.removeEventListener("abort", stop);
      } catch (error) {
        this.#options.host.log.debug({ reason: textOf(error) }, "the journal cannot be read at the moment");
        await setTimeout(pauseMs, undefined, { signal, ref: false }).catch(() => undefined);
      }
    }
  }

  #take(message: JsMsg): void {
    const { seq } = message;
    if (this.#known.has(seq)) message.ack();
    else if (this.#undone.has(seq)) {
      // The server had not heard of it for too long: from now on it is this delivery that is to be acknowledged.
      this.#undone.set(seq, message);
    } else {
      this.#undone.set(seq, message);
      this.#waiting.push(message);
      this.#wake();
    }
  }

  #finish(seq: number): void {
    const message = this.#undone.get(seq);
    this.#undone.delete(seq);
    this.#known.add(seq);
    if (this.#known.size > maxKnown) for (const oldest of this.#known) if (this.#known.delete(oldest)) break;
    tell(() => message?.ack());
  }

  #giveBack(seq: number): void {
    const message = this.#undone.get(seq);
    this.#undone.delete(seq);
    tell(() => message?.nak());
  }

  /** Tells the server that all of it is at work. To be called three times within {@link ackWaitMs}. */
  keepAlive(): void {
    for (const message of this.#undone.values()) tell(() => message.working());
  }

  #wake(): void {
    for (const wake of this.#woken) wake();
    this.#woken.clear();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => void this.#woken.add(resolve));
  }
}

/** Tells the server something of a message, for as long as there is a connection: without, it gives the message again. */
function tell(say: () => void): void {
  try {
    say();
  } catch {
    // The connection is closed.
  }
}
