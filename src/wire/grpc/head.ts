import type { ErrorCode } from "../../util/error-codes.ts";
import { maxHeaderListBytes } from "../http2/request-heads.ts";
import type { RequestFields } from "../http2/request-fields.ts";
import type { Duplex, Unary } from "../call.ts";
import { httpFrame, statusFrame } from "./status.ts";
import { encodings, type Encoding } from "../inflater.ts";
import { statusOf } from "../status.ts";

/** A method as it is served. */
export type Method =
  | { readonly door: string; readonly name: string; readonly unary: Unary; readonly duplex?: undefined }
  | { readonly door: string; readonly name: string; readonly unary?: undefined; readonly duplex: Duplex };

/** What the head of a call says. Calls with the same head share it. */
export interface GrpcHead {
  /** Name and value by turns. */
  readonly list: readonly string[];
  readonly encoding: Encoding;
  /** How long the caller waits, from when the call came. */
  readonly timeoutMs: number | undefined;
  /** The method that is called, or the frame that says why there is none. */
  readonly method: Method | Uint8Array;
}

/** `application/grpc`, perhaps with the name of the messages' format, of which we know one. */
const contentType = /^application\/grpc(\+proto)?($|[ \t]*;)/i;

/** Reads a head by the rules of gRPC over HTTP/2 (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md). */
export function readHead(
  { method, path, list, tooLarge }: RequestFields,
  methods: ReadonlyMap<string, Method>,
): GrpcHead {
  const timeout = fieldOf(list, "grpc-timeout");
  const timeoutMs = timeout === undefined ? undefined : readTimeout(timeout);
  const encoding = (fieldOf(list, "grpc-encoding") ?? "identity") as Encoding;
  const refuse = (code: ErrorCode, message: string, grpc?: number): Uint8Array =>
    statusFrame(grpc ?? statusOf(code, message).grpc, `${code}: ${message}`, true);

  const resolve = (): Method | Uint8Array => {
    if (tooLarge)
      return refuse("WEIR_REQUEST_TOO_LARGE", `headers of more than ${maxHeaderListBytes} bytes are not taken`);
    if (method !== "POST") return httpFrame(405);
    if (!contentType.test(fieldOf(list, "content-type") ?? "")) return httpFrame(415);
    const found = methods.get(path);
    if (found === undefined) return refuse("WEIR_NOT_FOUND", "there is no such method", unimplemented);
    if (!encodings.includes(encoding)) {
      return refuse("WEIR_REQUEST_MALFORMED", "messages of this grpc-encoding are not read", unimplemented);
    }
    if (timeout !== undefined && timeoutMs === undefined) {
      return refuse("WEIR_REQUEST_MALFORMED", "grpc-timeout is a number of 1 to 8 digits and a unit");
    }
    return found;
  };
  return { list, encoding, timeoutMs, method: resolve() };
}

/** The first value of a field; `undefined` when there is none. */
export function fieldOf(list: readonly string[], name: string): string | undefined {
  for (let at = 0; at < list.length; at += 2) if (list[at] === name) return list[at + 1];
  return undefined;
}

/** Milliseconds of each unit of `grpc-timeout`. */
const unitMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };

/** A `grpc-timeout` in milliseconds; `undefined` when it is none. */
export function readTimeout(text: string): number | undefined {
  const m = /^(\d{1,8})([HMSmun])$/.exec(text);
  return m === null ? undefined : Number(m[1]) * unitMs[m[2]!]!;
}

/** The gRPC status code UNIMPLEMENTED. */
const unimplemented = 12;
