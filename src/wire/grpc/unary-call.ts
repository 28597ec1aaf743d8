import { ServedCall } from "./call.ts";
import { statusOf } from "../status.ts";

/** A call with one message each way. A handler that answers at once costs no promise. */
export class UnaryCall extends ServedCall {
  #message: Buffer | undefined;
  #isOwn = false;

  protected override take(message: Buffer): void {
    if (this.#message !== undefined) {
      return this.fail(statusOf("WEIR_REQUEST_MALFORMED", "the method takes one message, and a second one came"));
    }
    this.#message = message;
    this.keptBytes = message.length;
  }

  protected override keep(): void {
    if (this.#message === undefined || this.#isOwn) return;
    this.#message = this.own(this.#message);
    this.#isOwn = true;
  }

  protected override finish(): void {
    if (this.#message === undefined) {
      return this.fail(statusOf("WEIR_REQUEST_MALFORMED", "the method takes one message, and none came"));
    }
    try {
      const answer = this.method.unary!(this.#message, this);
      if (answer instanceof Uint8Array) {
        this.#answer(answer);
        this.release(this.#message);
      } else {
        answer.then(
          (bytes) => this.#answer(bytes),
          (error: unknown) => this.failed(error),
        );
      }
    } catch (error) {
      this.failed(error);
    }
  }

  #answer(bytes: Uint8Array): void {
    if (this.ended) return;
    this.send(bytes);
    this.succeed();
  }
}
