import type { Metadata } from "@grpc/grpc-js";
import { ServedCall, type Listener } from "./grpc-call.ts";
import { statusOf, toStatus } from "./status.ts";

/** A call with one message each way. A handler that answers at once costs no promise. */
export class UnaryCall extends ServedCall implements Listener {
  #message: Uint8Array | undefined;

  override onReceiveMetadata(metadata: Metadata): void {
    super.onReceiveMetadata(metadata);
    this.wire.startRead();
  }

  onReceiveMessage(message: Uint8Array): void {
    this.frames.taken();
    if (this.#message !== undefined) {
      return this.fail(statusOf("WEIR_REQUEST_MALFORMED", "the method takes one message, and a second one came"));
    }
    this.#message = message;
    this.wire.startRead();
  }

  onReceiveHalfClose(): void {
    if (this.ended) return;
    if (this.#message === undefined) {
      return this.fail(statusOf("WEIR_REQUEST_MALFORMED", "the method takes one message, and none came"));
    }
    try {
      const answer = this.method.unary!(this.#message, this);
      if (answer instanceof Uint8Array) this.#answer(answer);
      else {
        answer.then(
          (bytes) => this.#answer(bytes),
          (error: unknown) => this.fail(toStatus(error)),
        );
      }
    } catch (error) {
      this.fail(toStatus(error));
    }
  }

  #answer(bytes: Uint8Array): void {
    if (this.ended) return;
    this.wire.sendMessage(bytes, noop);
    this.succeed();
  }
}

function noop(): void {}
