import { Bag } from "../../attributes/bag.ts";
import type { Int64 } from "../../attributes/value.ts";
import type { Decision } from "../../runtime/decision.ts";
import type { HoldAsked } from "../../runtime/limits/holds.ts";
import type { Client } from "../client.ts";
import type { Call, Incoming, Outgoing } from "../call.ts";
import { changeHeld } from "../held.ts";
import type { AttributeDecoder } from "../mixer/attribute-decoder.ts";
import { asBuffer, Reader } from "../protobuf/reader.ts";
import { Writer } from "../protobuf/writer.ts";
import { refuseForeignAttributes } from "../permit.ts";
import type { Session } from "../session.ts";
import { toStatus } from "../status.ts";
import { decisionAnswer, errorAnswer, heldAnswer } from "./answer.ts";
import { ClientDictionary, HubDictionary } from "./dictionary.ts";
import { streamDoorName } from "./name.ts";
import { Pace } from "./pace.ts";
import { readCheckRequest, StreamRequest } from "./request.ts";
import type { StreamDoorOptions } from "./stream-door.ts";

/** One stream of checks, and of changes of what they took. Every message meets the policies that serve when it comes. */
export class CheckStream implements Incoming {
  readonly #options: StreamDoorOptions;
  readonly #decoder: AttributeDecoder;
  readonly #caller: string;
  readonly #client: Client | undefined;
  readonly #pace: Pace;
  readonly #clientWords = new ClientDictionary();
  readonly #hubWords = new HubDictionary();
  readonly #reader = new Reader();
  readonly #writer = new Writer();
  /** A bag that no check holds. */
  #spare: Bag | undefined;

  constructor(out: Outgoing, call: Call, options: StreamDoorOptions, decoder: AttributeDecoder) {
    this.#options = options;
    this.#decoder = decoder;
    this.#caller = call.peer;
    this.#client = call.client;
    this.#pace = new Pace(out, options.limits?.checksAtWork ?? 256);
  }

  message(message: Uint8Array): Promise<void> | undefined {
    const request = new StreamRequest();
    let session: Session | undefined;
    try {
      const buffer = asBuffer(message);
      readCheckRequest(this.#reader.reset(buffer), request);
      if (request.dictionary !== undefined) this.#clientWords.take(request.dictionary);
      if (request.flaw !== undefined) throw request.flaw;
      if (request.change !== undefined) {
        this.#change(request.index, request.change);
        return this.#pace.rest();
      }
      session = this.#options.open();
      const bag = this.#bag(session);
      for (const { start, end } of request.attributes) {
        this.#decoder.change(bag, buffer, start, end, this.#clientWords.words);
      }
      refuseForeignAttributes(bag, this.#client, streamDoorName, this.#options.observer);
      const { quotas, dedupId } = request;
      const judged = session.check(bag, { ...(quotas && { quotas }), dedupId, caller: this.#caller });
      if (judged instanceof Promise) this.#later(judged, request.index, bag, session);
      else {
        this.#pace.send(this.#answer(request.index, judged, bag));
        this.#spare = bag;
        session.end();
      }
    } catch (error) {
      session?.end();
      this.#pace.send(this.#broken(request.index, error));
    }
    return this.#pace.rest();
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

  #bag({ layout }: Session): Bag {
    const spare = this.#spare;
    this.#spare = undefined;
    if (spare?.layout !== layout) return new Bag(layout);
    spare.clear();
    return spare;
  }

  #later(judged: Promise<Decision>, index: Int64, bag: Bag, session: Session): void {
    this.#pace.start();
    void judged
      .then((decision) => this.#answer(index, decision, bag))
      .catch((error: unknown) => this.#error(index, error))
      .then((answer) => {
        session.end();
        this.#pace.finish(answer);
      });
  }

  #change(index: Int64, asked: HoldAsked): void {
    this.#pace.start();
    void changeHeld(this.#options.open, asked)
      .then((limits) => heldAnswer(this.#writer, index, limits))
      .catch((error: unknown) => this.#error(index, error))
      .then((answer) => this.#pace.finish(answer));
  }

  #answer(index: Int64, decision: Decision, bag: Bag): Uint8Array {
    return decisionAnswer(this.#writer, index, decision, bag, this.#hubWords);
  }

  /** Of a message that cannot be read. */
  #broken(index: Int64, error: unknown): Uint8Array {
    if (toStatus(error).fault === undefined) this.#options.observer.dropped("check", "broken", 1);
    return this.#error(index, error);
  }

  #error(index: Int64, error: unknown): Uint8Array {
    const status = toStatus(error);
    if (status.fault !== undefined)
      this.#options.log.error({ err: status.fault, door: streamDoorName }, "a check failed");
    return errorAnswer(this.#writer, index, 4, status);
  }
}
