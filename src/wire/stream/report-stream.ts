import { Bag } from "../../attributes/bag.ts";
import { WeirError } from "../../util/weir-error.ts";
import type { Client } from "../client.ts";
import type { Call, Incoming, Outgoing } from "../call.ts";
import type { AttributeDecoder } from "../mixer/attribute-decoder.ts";
import { refuseForeignAttributes } from "../permit.ts";
import { asBuffer, Reader } from "../protobuf/reader.ts";
import { Writer } from "../protobuf/writer.ts";
import { toStatus } from "../status.ts";
import { errorAnswer, takenAnswer, type Taken } from "./answer.ts";
import { ClientDictionary } from "./dictionary.ts";
import { streamDoorName } from "./name.ts";
import { Pace } from "./pace.ts";
import { readReportRequest, StreamRequest } from "./request.ts";
import type { StreamDoorOptions } from "./stream-door.ts";

/** The most records of a message whose mistakes are told one by one. */
const maxErrors = 32;

/** How many messages of one stream may be at work: there are several only where a buffer has to store each. */
const maxAtWork = 32;

/** One stream of reports. */
export class ReportStream implements Incoming {
  readonly #options: StreamDoorOptions;
  readonly #client: Client | undefined;
  readonly #decoder: AttributeDecoder;
  readonly #pace: Pace;
  readonly #clientWords = new ClientDictionary();
  readonly #reader = new Reader();
  readonly #writer = new Writer();
  #bag: Bag | undefined;

  constructor(out: Outgoing, call: Call, options: StreamDoorOptions, decoder: AttributeDecoder) {
    this.#options = options;
    this.#client = call.client;
    this.#decoder = decoder;
    this.#pace = new Pace(out, maxAtWork);
  }

  message(message: Uint8Array): Promise<void> | undefined {
    const request = new StreamRequest();
    try {
      const buffer = asBuffer(message);
      readReportRequest(this.#reader.reset(buffer), request);
      if (request.dictionary !== undefined) this.#clientWords.take(request.dictionary);
      if (request.flaw !== undefined) throw request.flaw;
      const { taken, stored } = this.#take(buffer, request);
      if (stored === undefined) this.#pace.send(takenAnswer(this.#writer, request.index, taken));
      else {
        this.#pace.start();
        stored.then(
          () => this.#pace.finish(takenAnswer(this.#writer, request.index, taken)),
          (error: unknown) => this.#pace.finish(this.#failure(request.index, error)),
        );
      }
    } catch (error) {
      if (toStatus(error).fault === undefined) this.#options.observer.dropped("report", "broken", 1);
      this.#pace.send(this.#failure(request.index, error));
    }
    return this.#pace.rest();
  }

  #failure(index: StreamRequest["index"], error: unknown): Uint8Array {
    const status = toStatus(error);
    if (status.fault !== undefined)
      this.#options.log.error({ err: status.fault, door: streamDoorName }, "a report failed");
    return errorAnswer(this.#writer, index, 2, status);
  }

  end(): void {
    this.#pace.halfClose();
  }

  drained(): void {
    this.#pace.drained();
  }

  gone(): void {
    this.#pace.gone();
  }

  /** Takes the records of a message. `stored` resolves when they are safe, where that has to be waited for. */
  #take(
    buffer: Buffer,
    { attributes, isDelta }: StreamRequest,
  ): { readonly taken: Taken; readonly stored: Promise<void> | undefined } {
    const errors: { position: number; code: WeirError["code"]; message: string }[] = [];
    let taken = 0;
    let broken = 0;
    let notTaken = 0;
    let stored: Promise<void> | undefined;
    const session = this.#options.open();
    try {
      const bag = this.#bag?.layout === session.reportLayout ? this.#bag : new Bag(session.reportLayout);
      this.#bag = bag;
      bag.clear();
      for (const [position, { start, end }] of attributes.entries()) {
        if (!isDelta) bag.clear();
        try {
          this.#decoder.change(bag, buffer, start, end, this.#clientWords.words);
          refuseForeignAttributes(bag, this.#client, streamDoorName, this.#options.observer);
        } catch (error) {
          if (!(error instanceof WeirError)) throw error;
          if (broken < maxErrors) errors.push({ position, code: error.code, message: error.message });
          broken++;
          continue;
        }
        bag.clearReads();
        if (session.report(bag) === "full") break;
        taken++;
      }
      notTaken = attributes.length - taken - broken;
      // The first of them was counted when it was tried.
      if (notTaken > 1) session.notTried(notTaken - 1);
      stored = session.commit()?.finally(() => session.end());
    } finally {
      if (stored === undefined) session.end();
    }
    if (broken > 0) this.#options.observer.dropped("record", "broken", broken);
    return { taken: { taken, notTaken, broken, errors }, stored };
  }
}
