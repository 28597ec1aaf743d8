import type { Bag } from "../../../attributes/bag.ts";
import type { EntrySlots } from "./entry-slots.ts";
import type { Entry } from "./entry.ts";

/** What a record of a connection is about. */
export type ConnectionEvent = "open" | "continue" | "close";

/** Puts what only entries of TCP have into a bag. */
export function fillConnection(bag: Bag, slots: EntrySlots, entry: Entry): void {
  const { connection, context } = slots;
  if (context.protocol >= 0) bag.set(context.protocol, "tcp");
  entry.put(bag, connection.id, entry.common, 26);
  if (connection.receivedTotal >= 0) bag.set(connection.receivedTotal, entry.receivedBytes);
  if (connection.sentTotal >= 0) bag.set(connection.sentTotal, entry.sentBytes);
  if (connection.duration >= 0) bag.set(connection.duration, entry.duration);
  if (context.time >= 0) bag.set(context.time, entry.end);
  if (context.timestamp >= 0) bag.set(context.timestamp, entry.end);
}

/** Says what a record of a connection is about, and which of its bytes are new. */
export function putEvent(
  bag: Bag,
  { connection }: EntrySlots,
  event: ConnectionEvent,
  received: number,
  sent: number,
): void {
  if (connection.event >= 0) bag.set(connection.event, event);
  if (connection.received >= 0) bag.set(connection.received, received);
  if (connection.sent >= 0) bag.set(connection.sent, sent);
}
