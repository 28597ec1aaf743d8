import type { Guest } from "../../listen/gate.ts";
import type { Caller, CallOwner } from "./call-owner.ts";
import { DuplexCall } from "./duplex-call.ts";
import { readHead, type GrpcHead, type Method } from "./head.ts";
import { statusFrame } from "./status.ts";
import { UnaryCall } from "./unary-call.ts";
import { toStatus } from "../status.ts";
import type { Requests } from "../http2/connection-options.ts";
import type { RequestFields } from "../http2/request-fields.ts";
import type { Stream, StreamHandler } from "../http2/stream.ts";

/** What is served on a stream that was answered by its head alone. */
const refused: StreamHandler = { data() {}, end() {}, isReady: true, drained() {}, gone() {} };

/** The requests of one connection, as calls of the methods that its caller may reach. */
export class GrpcRequests implements Requests<GrpcHead> {
  readonly #methods: ReadonlyMap<string, Method>;
  readonly #guest: Guest | undefined;
  readonly #owner: CallOwner;
  #caller: Caller;

  constructor(methods: ReadonlyMap<string, Method>, peer: string, guest: Guest | undefined, owner: CallOwner) {
    this.#methods = methods;
    this.#guest = guest;
    this.#owner = owner;
    this.#caller = { peer };
  }

  read(fields: RequestFields): GrpcHead {
    return readHead(fields, this.#methods);
  }

  begin(head: GrpcHead, stream: Stream): StreamHandler {
    const { method } = head;
    if (this.#guest !== undefined) {
      try {
        const client = this.#guest.enter(method instanceof Uint8Array ? undefined : method.door);
        if (client !== this.#caller.client) this.#caller = { peer: this.#caller.peer, client };
      } catch (error) {
        const { code, grpc, message } = toStatus(error);
        stream.sendHeaders(statusFrame(grpc, `${code}: ${message}`, true));
        return refused;
      }
    }
    if (method instanceof Uint8Array) {
      stream.sendHeaders(method);
      return refused;
    }
    return method.unary === undefined
      ? new DuplexCall(stream, method, head, this.#caller, this.#owner)
      : new UnaryCall(stream, method, head, this.#caller, this.#owner);
  }
}
