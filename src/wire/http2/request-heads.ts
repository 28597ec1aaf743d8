import type { Requests } from "./connection-options.ts";
import { HeadCache } from "./head-cache.ts";
import { HeaderDecoder } from "./header-decoder.ts";
import { readRequest } from "./request-fields.ts";

/** The largest list of fields that a request may have, as RFC 9113, 6.5.2 counts. */
export const maxHeaderListBytes = 16 * 1024;

export interface KnownHead<Head> {
  readonly head: Head;
  readonly contentLength: number;
}

/** Reads the header blocks of one connection, in the order in which they come; of requests that say the same, one. */
export class RequestHeads<Head> {
  readonly #requests: Requests<Head>;
  readonly #decoder = new HeaderDecoder(maxHeaderListBytes);
  readonly #known = new HeadCache<KnownHead<Head>>();

  constructor(requests: Requests<Head>) {
    this.#requests = requests;
  }

  /** The fields of a block that begins no request. */
  fields(bytes: Buffer, start: number, end: number): ReturnType<HeaderDecoder["decode"]> {
    return this.#decoder.decode(bytes, start, end);
  }

  /** The head that a block says; `undefined` when it is malformed. */
  read(bytes: Buffer, start: number, end: number): KnownHead<Head> | undefined {
    const { version } = this.#decoder;
    const known = this.#known.find(bytes, start, end, version);
    if (known !== undefined) return known;
    const fields = readRequest(this.#decoder.decode(bytes, start, end));
    if (fields === undefined) return undefined;
    const head = { head: this.#requests.read(fields), contentLength: fields.contentLength };
    if (version === this.#decoder.version) this.#known.keep(bytes, start, end, version, head);
    return head;
  }
}
