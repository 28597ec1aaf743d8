import type { HoldAsked } from "../../runtime/limits/holds.ts";
import type { DoorOptions, Unary } from "../call.ts";
import { changeHeld } from "../held.ts";
import { asBuffer, Reader } from "../protobuf/reader.ts";
import { Writer } from "../protobuf/writer.ts";
import { readRefund, readRelease, readRenew, writeHeld } from "./hold-messages.ts";

/** The methods that change what a decision took: `Release`, `Renew`, `Refund`. */
export function holdMethods({ open }: Pick<DoorOptions, "open">): ReadonlyMap<string, Unary> {
  const method = (read: (reader: Reader) => HoldAsked): Unary => {
    return async (message) => {
      const limits = await changeHeld(open, read(new Reader().reset(asBuffer(message))));
      const writer = new Writer();
      writeHeld(writer, limits);
      return writer.finish();
    };
  };
  return new Map([
    ["/weir.v1.Weir/Release", method(readRelease)],
    ["/weir.v1.Weir/Renew", method(readRenew)],
    ["/weir.v1.Weir/Refund", method(readRefund)],
  ]);
}
