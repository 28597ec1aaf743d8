import type { Call, Incoming, Outgoing } from "../../call.ts";
import type { Session } from "../../session.ts";
import { asBuffer, Reader } from "../../protobuf/reader.ts";
import { toStatus } from "../../status.ts";
import type { AccessLogOptions } from "./access-log-door.ts";
import { EntryReports, type Log } from "./entry-reports.ts";
import { LogMessage } from "./message.ts";
import { unknownProxy } from "./proxy.ts";

/** How often entries that found a queue full are tried again, and how long it is in between. */
const retries = 10;
const retryMs = 100;

/** How many streams may hold entries at once; each holds no more than one message. */
const maxHolding = 64;

/**
 * How much of a stream is being stored at once, in bytes of its messages. What has come is stored together with what came
 * before it rather than after it: until then it ends with the process. Beyond these no more is read.
 */
const maxStoringBytes = 256 * 1024;
/** What a message is counted beside its bytes. */
const storingCost = 256;

/** What the streams of a door share. */
export interface LogStreamRoom {
  readonly options: AccessLogOptions;
  readonly reports: EntryReports;
  readonly message: LogMessage;
  readonly reader: Reader;
  /** Shows the memory that the last message was a part of. Messages share memory, so that one view does for many. */
  view: DataView;
  /** Streams that hold entries now. */
  readonly holding: Set<LogStream>;
  /** Entries that were taken and are being stored. */
  unstored: number;
}

/** Where the entries of a message lie in it. */
type Entries = Pick<LogMessage, "count" | "starts" | "ends" | "isTcp">;

/** Entries that found a queue full, with the message that they are in. */
interface Held {
  readonly buffer: Buffer;
  readonly entries: Entries;
  next: number;
}

const emptyAnswer = new Uint8Array(0);

/**
 * One stream of a log. The protocol has no answer but the one at the end, so entries that find a queue full are held for
 * a moment, in which no more is read of this stream, and then dropped and counted.
 */
export class LogStream implements Incoming {
  readonly #out: Outgoing;
  readonly #room: LogStreamRoom;
  readonly #log: Log;
  #held: Held | undefined;
  /** What is being stored, and what waits for one message of it, or for all. */
  #storingBytes = 0;
  #oneStored: (() => void) | undefined;
  #allStored: (() => void) | undefined;
  #cancel: (() => void) | undefined;
  #resume: (() => void) | undefined;
  /** Whether the last hold was in vain: then entries do not wait again before some were taken without. */
  #isHopeless = false;
  #hasWarned = false;

  constructor(out: Outgoing, call: Call, room: LogStreamRoom) {
    this.#out = out;
    this.#room = room;
    const { client, peer } = call;
    const scope = `${client?.name ?? ""}\n${peer}`;
    this.#log = { proxy: unknownProxy, scope, client, sinceMs: room.options.now(), hasGoing: false };
  }

  message(bytes: Uint8Array): Promise<void> | undefined {
    const room = this.#room;
    const { message, reader, options } = room;
    const { observer } = options;
    const buffer = asBuffer(bytes);
    try {
      message.read(reader.reset(buffer), viewOf(room, buffer));
    } catch (error) {
      const status = toStatus(error);
      if (status.fault !== undefined) throw error;
      observer.dropped("report", "broken", 1);
      if (!this.#hasWarned)
        options.log.warn({ node: this.#log.proxy.id, problem: status.message }, "a message of an access log is broken");
      this.#hasWarned = true;
      return undefined;
    }
    if (message.proxy !== undefined) {
      this.#log.proxy = message.proxy;
      const { id, logName } = message.proxy;
      if (id !== "") this.#log.scope = `${this.#log.client?.name ?? ""}\n${id}\n${logName}`;
    }
    observer.dropped("record", "too_many", message.tooMany);
    const { count } = message;
    const taken = this.#take(buffer, message, 0);
    if (taken === count) {
      this.#isHopeless = false;
      return this.#storingBytes < maxStoringBytes ? undefined : new Promise((resolve) => (this.#oneStored = resolve));
    }
    if (this.#isHopeless || this.#room.holding.size >= maxHolding) {
      this.#take(buffer, message, taken, true);
      return undefined;
    }
    // The message belongs to the transport again as soon as this returns.
    const [starts, ends] = [message.starts.slice(0, count), message.ends.slice(0, count)];
    const entries = { count, starts, ends, isTcp: message.isTcp.slice(0, count) };
    this.#held = { buffer: Buffer.from(buffer), entries, next: taken };
    this.#room.holding.add(this);
    this.#wait(retries);
    return new Promise((resolve) => (this.#resume = resolve));
  }

  end(): void {
    this.#letGo(true);
    const answer = (): void => {
      this.#out.send(emptyAnswer);
      this.#out.end();
    };
    if (this.#storingBytes === 0) answer();
    else this.#allStored = answer;
  }

  /** Nothing is sent before the end. */
  drained(): void {}

  gone(): void {
    this.#allStored = undefined;
    this.#letGo(true);
  }

  missed(messages: number): void {
    this.#room.options.observer.dropped("report", "not_read", messages);
  }

  /** How many entries wait for room. */
  get heldEntries(): number {
    return this.#held === undefined ? 0 : this.#held.entries.count - this.#held.next;
  }

  /** Reports entries from one on, up to the first that finds a queue full; with `drop`, all that can be. Answers where it ended. */
  #take(buffer: Buffer, { count, starts, ends, isTcp }: Entries, from: number, drop = false): number {
    const room = this.#room;
    const { reports, options } = room;
    if (from >= count) return count;
    const session = options.open();
    let dropped = 0;
    let next = from;
    let stored: Promise<void> | undefined;
    try {
      reports.begin(session.reportLayout, buffer, viewOf(room, buffer));
      for (; next < count; next++) {
        if (reports.report(session, this.#log, starts[next]!, ends[next]!, isTcp[next]!) === "done") continue;
        if (!drop) break;
        dropped++;
      }
      stored = session.commit();
      if (stored !== undefined) this.#follow(stored, next - from - dropped, buffer.length, session);
    } finally {
      if (stored === undefined) session.end();
    }
    options.observer.dropped("record", "queue_full", dropped);
    options.observer.dropped("attribute", "not_permitted", reports.takeRefusedTags());
    return next;
  }

  /** Sees to what was taken of a message while that is being stored. What is not is lost: nobody was told anything of it. */
  #follow(stored: Promise<void>, taken: number, bytes: number, session: Session): void {
    const room = this.#room;
    room.unstored += taken;
    this.#storingBytes += storingCost + bytes;
    void stored
      .catch(() => room.options.observer.dropped("record", "not_stored", taken))
      .finally(() => {
        room.unstored -= taken;
        this.#storingBytes -= storingCost + bytes;
        session.end();
        this.#oneStored?.();
        this.#oneStored = undefined;
        if (this.#storingBytes === 0) this.#allStored?.();
      });
  }

  #wait(left: number): void {
    this.#cancel = this.#room.options.timers.after(retryMs, () => {
      const held = this.#held!;
      held.next = this.#take(held.buffer, held.entries, held.next);
      if (held.next === held.entries.count) this.#letGo(false);
      else if (left > 1) this.#wait(left - 1);
      else {
        this.#isHopeless = true;
        this.#letGo(true);
      }
    });
  }

  /** Ends the hold. `drop`: what still finds no room is dropped. */
  #letGo(drop: boolean): void {
    const held = this.#held;
    if (held === undefined) return;
    this.#cancel?.();
    this.#held = undefined;
    this.#room.holding.delete(this);
    if (drop) this.#take(held.buffer, held.entries, held.next, true);
    this.#resume?.();
  }
}

/** Shows the whole memory of a message. */
function viewOf(room: LogStreamRoom, { buffer }: Buffer): DataView {
  if (room.view.buffer !== buffer) room.view = new DataView(buffer);
  return room.view;
}
