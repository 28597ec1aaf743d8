import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { receiverText, type Outcome } from "./outcome.ts";

/**
 * Reads the answer to an export, `ExportMetricsServiceResponse` and its like for logs and traces, which have the same form:
 * `partial_success` (1) with the count of what was rejected (1) and a message (2). An answer that cannot be read is one of
 * a receiver that took the request, with a message that says so: sending it again might double what it has.
 */
export function readAnswer(bytes: Uint8Array): Outcome {
  let rejected = 0;
  let message = "";
  try {
    forEachField(bytes, (field, type, reader) => {
      if (field !== 1 || type !== WireType.LengthDelimited) return false;
      forEachField(reader.bytes(), (inner, innerType, partial) => {
        if (inner === 1 && innerType === WireType.Varint) rejected = Math.max(0, Number(partial.int64()));
        else if (inner === 2 && innerType === WireType.LengthDelimited) message = partial.string();
        else return false;
        return true;
      });
      return true;
    });
  } catch {
    return { kind: "taken", rejected: 0, message: "the answer cannot be read" };
  }
  return { kind: "taken", rejected, message: receiverText(message) };
}

/**
 * The `retry_delay` in milliseconds of a `google.rpc.RetryInfo` among the details (3) of a `google.rpc.Status`;
 * `undefined` when there is none, or when the bytes cannot be read.
 */
export function readRetryDelay(status: Uint8Array): number | undefined {
  let delay: number | undefined;
  try {
    forEachField(status, (field, type, reader) => {
      if (field !== 3 || type !== WireType.LengthDelimited) return false;
      let typeUrl = "";
      let value = new Uint8Array();
      forEachField(reader.bytes(), (inner, innerType, any) => {
        if (innerType !== WireType.LengthDelimited || (inner !== 1 && inner !== 2)) return false;
        if (inner === 1) typeUrl = any.string();
        else value = new Uint8Array(any.bytes());
        return true;
      });
      if (typeUrl.endsWith("/google.rpc.RetryInfo")) delay = readRetryInfo(value);
      return true;
    });
  } catch {
    return undefined;
  }
  return delay;
}

/** `retry_delay` (1) is a Duration: seconds (1) and nanoseconds (2). Without it, the receiver only says that a retry is fine. */
function readRetryInfo(bytes: Uint8Array): number {
  let ms = 0;
  forEachField(bytes, (field, type, reader) => {
    if (field !== 1 || type !== WireType.LengthDelimited) return false;
    forEachField(reader.bytes(), (inner, innerType, duration) => {
      if (innerType !== WireType.Varint || (inner !== 1 && inner !== 2)) return false;
      ms += inner === 1 ? Number(duration.int64()) * 1000 : duration.int32() / 1e6;
      return true;
    });
    return true;
  });
  return Math.max(0, ms);
}

/** Goes through the fields of a message. `read` answers whether it has read the field's value; else it is skipped. */
function forEachField(bytes: Uint8Array, read: (field: number, type: WireType, reader: BinaryReader) => boolean): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (!read(field, type, reader)) reader.skip(type, field);
  }
}
