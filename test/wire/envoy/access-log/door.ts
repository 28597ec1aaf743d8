import type { Bag } from "../../../../src/attributes/bag.ts";
import type { Value } from "../../../../src/attributes/value.ts";
import type { Fault } from "../../../../src/attributes/fault.ts";
import type { Call, Incoming } from "../../../../src/wire/call.ts";
import type { Client } from "../../../../src/wire/client.ts";
import { createAccessLogDoor } from "../../../../src/wire/envoy/access-log/access-log-door.ts";
import type { Told } from "../../../../src/telemetry/rules/growth.ts";
import type { RecordOutcome } from "../../../../src/telemetry/outcome.ts";
import { FakeClock } from "../../../telemetry/fakes.ts";
import { fakeHub } from "../../grpc/fake-session.ts";
import { recordingLog, recordingObserver } from "../../grpc/harness.ts";

export const method = "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs";

export interface Opened {
  readonly incoming: Incoming;
  /** Opens another stream at the same door. */
  readonly another: (client?: Client, peer?: string) => Incoming;
  /** What was reported and taken. */
  readonly records: Record<string, string>[];
  /** What was told of requests under way, in order, each with what was told of its request before, which it changes. */
  readonly ongoing: { readonly record: Record<string, string>; readonly before: number }[];
  readonly observer: ReturnType<typeof recordingObserver>;
  readonly log: ReturnType<typeof recordingLog>;
  readonly clock: FakeClock;
  readonly sent: Uint8Array[];
  readonly ended: () => number;
  /** Sessions that are open. */
  readonly live: () => number;
  /** Entries that would be lost with the process. */
  readonly unsafe: () => number;
}

/** Opens a stream at the door, without a transport. `outcome` says what becomes of each record. */
export function open(
  reads: readonly string[],
  options: {
    outcome?: (record: Record<string, string>) => RecordOutcome;
    commit?: () => Promise<void> | undefined;
    client?: Client;
    /** Stands for the rules that ask for requests under way, and for what they do with the end. Left out: there are none. */
    ongoing?: (record: Record<string, string>, told: Told | undefined) => void;
  } = {},
): Opened {
  const records: Record<string, string>[] = [];
  const ongoing: { record: Record<string, string>; before: number }[] = [];
  const hub = fakeHub({
    reads,
    report(bag, told) {
      const record = shown(bag);
      const outcome = options.outcome?.(record) ?? "taken";
      if (outcome === "taken") {
        records.push(record);
        options.ongoing?.(record, told);
      }
      return outcome;
    },
    ...(options.commit && { commit: options.commit }),
    ...(options.ongoing !== undefined && {
      ongoing(bag, told) {
        const record = shown(bag);
        ongoing.push({ record, before: told.before });
        options.ongoing!(record, told);
      },
    }),
  });
  const observer = recordingObserver();
  const log = recordingLog();
  const clock = new FakeClock();
  const door = createAccessLogDoor({ open: hub.open, observer, log, now: clock.now, timers: clock });
  const sent: Uint8Array[] = [];
  let ended = 0;
  const out = { send: (bytes: Uint8Array) => sent.push(bytes) > 0, whenRead: () => false, end: () => void ended++ };
  const another = (client?: Client, peer = "10.9.9.9"): Incoming => {
    const call: Call = { peer, signal: new AbortController().signal, header: () => undefined, client };
    return door.duplex.get(method)!(out, call);
  };
  return {
    incoming: another(options.client),
    another,
    records,
    ongoing,
    observer,
    log,
    clock,
    sent,
    ended: () => ended,
    live: () => hub.live,
    unsafe: door.unsafe,
  };
}

/** What a bag holds, as text, by name and key. */
export function shown(bag: Bag): Record<string, string> {
  return Object.fromEntries(
    bag.layout.slots
      .map(({ index, name, key }) => [key === undefined ? name : `${name}[${key}]`, bag.peek(index)] as const)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => [name, text(value!)]),
  );
}

function text(value: Value | Fault): string {
  if (value instanceof Map) return [...value].map(([key, held]) => `${key}=${held}`).join(" ");
  return String(value);
}
