import type { Timers } from "../../../util/timers.ts";
import type { DoorOptions, Duplex, GrpcDoor } from "../../call.ts";
import { Reader } from "../../protobuf/reader.ts";
import { Connections } from "./connections.ts";
import { EntryReports } from "./entry-reports.ts";
import { LogStream, type LogStreamRoom } from "./log-stream.ts";
import { LogMessage } from "./message.ts";
import { Requests } from "./requests.ts";

export interface AccessLogOptions extends DoorOptions {
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly timers: Timers;
}

export interface AccessLogDoor extends GrpcDoor {
  /** How many entries it has read that are not taken yet, or not as safe as `telemetry.buffer` says: they end with the process. */
  unsafe(): number;
}

/** The door of Envoy's access logs, `envoy.service.accesslog.v3.AccessLogService`: their entries become reports. */
export function createAccessLogDoor(options: AccessLogOptions): AccessLogDoor {
  const nowMs = options.now();
  const room: LogStreamRoom = {
    options,
    reports: new EntryReports(options.observer, new Connections(nowMs), new Requests(nowMs)),
    message: new LogMessage(),
    reader: new Reader(),
    view: new DataView(new ArrayBuffer(0)),
    holding: new Set(),
    unstored: 0,
  };
  return {
    name: "accesslog",
    unary: new Map(),
    duplex: new Map<string, Duplex>([
      ["/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs", (out, call) => new LogStream(out, call, room)],
    ]),
    caches: { words: room.reports.words },
    unsafe() {
      let entries = room.unstored;
      for (const stream of room.holding) entries += stream.heldEntries;
      return entries;
    },
  };
}
