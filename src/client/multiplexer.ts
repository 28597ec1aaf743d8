import type { Client, ClientDuplexStream } from "@grpc/grpc-js";
import type { Timers } from "../util/timers.ts";
import { WeirError } from "../util/weir-error.ts";
import { failure } from "./failure.ts";

export interface MultiplexerOptions<Answer, State> {
  readonly address: string;
  readonly client: Client;
  /** The method's full path. */
  readonly path: string;
  readonly deadlineMs: number;
  readonly maxInFlight: number;
  readonly timers: Timers;
  /** What lasts as long as one stream. */
  readonly begin: () => State;
  readonly decode: (bytes: Buffer) => Answer;
  /** Told of every answer in the order in which they come, also of those that nobody waits for any more. */
  readonly onAnswer: (answer: Answer, state: State) => void;
}

interface Stream<State> {
  readonly duplex: ClientDuplexStream<Uint8Array, unknown>;
  readonly state: State;
}

interface Waiting<Answer, State> {
  readonly settle: (answer: Answer, state: State) => void;
  readonly fail: (error: WeirError) => void;
}

/** Many calls on one stream. When the stream breaks, what waits fails, and the next call opens another. */
export class Multiplexer<Answer extends { readonly index: bigint }, State> {
  readonly #options: MultiplexerOptions<Answer, State>;
  readonly #waiting = new Map<bigint, Waiting<Answer, State>>();
  #stream: Stream<State> | undefined;
  #lastIndex = 0n;

  constructor(options: MultiplexerOptions<Answer, State>) {
    this.#options = options;
  }

  /**
   * Sends what `encode` makes for an index, and gives what `read` makes of the answer. What either throws is what the
   * call rejects with.
   */
  call<T>(encode: (index: bigint, state: State) => Uint8Array, read: (answer: Answer, state: State) => T): Promise<T> {
    const { maxInFlight, deadlineMs, timers, address } = this.#options;
    return new Promise((resolve, reject) => {
      if (this.#waiting.size >= maxInFlight) {
        throw new WeirError("WEIR_CLIENT_BUSY", `${maxInFlight} calls are waiting for their answers already`);
      }
      const { duplex, state } = (this.#stream ??= this.#open());
      const index = ++this.#lastIndex;
      const message = encode(index, state);
      const stop = timers.after(deadlineMs, () => {
        const message = `the hub at ${address} did not answer within ${deadlineMs} ms`;
        this.#waiting.get(index)?.fail(new WeirError("WEIR_UNREACHABLE", message));
        this.#waiting.delete(index);
      });
      this.#waiting.set(index, {
        settle(answer, answered) {
          stop();
          try {
            resolve(read(answer, answered));
          } catch (error) {
            reject(error as Error);
          }
        },
        fail(error) {
          stop();
          reject(error);
        },
      });
      duplex.write(message);
    });
  }

  /** Fails what waits. */
  close(): void {
    this.#stream?.duplex.cancel();
    this.#end(new WeirError("WEIR_UNREACHABLE", "the client was closed"));
  }

  #open(): Stream<State> {
    const { client, path, decode, begin, onAnswer, address } = this.#options;
    const duplex = client.makeBidiStreamRequest(path, (message: Uint8Array) => Buffer.from(message), decode, {});
    const stream: Stream<State> = { duplex, state: begin() };
    duplex.on("data", (answer: Answer) => {
      onAnswer(answer, stream.state);
      const waiting = this.#waiting.get(answer.index);
      this.#waiting.delete(answer.index);
      waiting?.settle(answer, stream.state);
    });
    // Every end, good or bad, comes as a status; an error beside it says nothing more.
    duplex.on("error", () => {});
    duplex.on("status", ({ details }) => {
      if (this.#stream === stream) this.#end(failure(address, { details, message: details || "the stream ended" }));
    });
    return stream;
  }

  #end(error: WeirError): void {
    this.#stream = undefined;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { fail } of waiting) fail(error);
  }
}
