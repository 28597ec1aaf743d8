import type { DoorOptions, Duplex, GrpcDoor } from "../call.ts";
import { AttributeDecoder } from "../mixer/attribute-decoder.ts";
import { streamDoorName } from "./name.ts";
import { CheckStream } from "./check-stream.ts";
import { holdMethods } from "./hold-methods.ts";
import { ReportStream } from "./report-stream.ts";

export interface StreamDoorOptions extends DoorOptions {
  readonly limits?: {
    /** How many checks of one stream may be at work at the same time; beyond that the hub reads no further. Default 256. */
    readonly checksAtWork?: number;
  };
}

/** The door `weir.v1.Weir`: checks and reports over streams, and what decisions hold call by call, as proto/weir/v1/weir.proto describes it. */
export function createStreamDoor(options: StreamDoorOptions): GrpcDoor {
  const decoder = new AttributeDecoder();
  return {
    name: streamDoorName,
    unary: holdMethods(options),
    duplex: new Map<string, Duplex>([
      ["/weir.v1.Weir/Check", (out, call) => new CheckStream(out, call, options, decoder)],
      ["/weir.v1.Weir/Report", (out, call) => new ReportStream(out, call, options, decoder)],
    ]),
  };
}
