import type { Bag } from "../../../attributes/bag.ts";
import type { Layout } from "../../../attributes/layout.ts";
import type { Client } from "../../client.ts";
import { AddressReader } from "../address-reader.ts";
import { PartCache } from "../part-cache.ts";
import { serviceOfCluster, type Direction, type Service } from "../service-name.ts";
import { fillConnection, putEvent, type ConnectionEvent } from "./connection-attributes.ts";
import { entryFields } from "./entry-fields.ts";
import { entrySlots, type EntrySlots } from "./entry-slots.ts";
import { Entry, EntryIndex } from "./entry.ts";
import { HttpAttributes } from "./http-attributes.ts";
import { MessageCounts } from "./message-counts.ts";
import { fillMetadata } from "./metadata-attributes.ts";
import { PartyAttributes } from "./party-attributes.ts";
import type { Proxy } from "./proxy.ts";
import { noFlags, readResponseFlags } from "./response-flags.ts";
import { TagAttributes } from "./tag-attributes.ts";

interface Table {
  readonly slots: EntrySlots;
  readonly index: EntryIndex;
}

const noService: Service = {};

/**
 * Reads entries of access logs, in two steps: {@link EntryDecoder.read} finds what an entry is about,
 * {@link EntryDecoder.fill} puts its attributes into a bag. Only what the layout has slots for is looked at: wrong bytes
 * in what is stepped over go unnoticed.
 *
 * `docs/doors/access-log.md` has the table of what becomes what.
 */
export class EntryDecoder {
  /** The entry that was read last. */
  readonly entry = new Entry();
  readonly #tables = new WeakMap<Layout, Table>();
  readonly #services = new PartCache(({ buffer, pos, end }) => serviceOfCluster(buffer.toString("utf8", pos, end)));
  readonly #addresses = new AddressReader();
  readonly #http = new HttpAttributes();
  readonly #messages = new MessageCounts();
  readonly #parties = new PartyAttributes();
  readonly #tags = new TagAttributes();
  #table: Table | undefined;

  /** Says what message the next entries are in, and which attributes are asked for. `view` shows the whole memory of the buffer. */
  begin(layout: Layout, buffer: Buffer, view: DataView): void {
    if (this.#table?.slots.layout !== layout) this.#table = this.#tableOf(layout);
    this.entry.begin(this.#table.index, buffer, view);
  }

  /** Reads the entry between two positions of the message. Throws a `WeirError` where it is malformed. */
  read(start: number, end: number, isTcp: boolean): void {
    this.entry.read(start, end, isTcp);
  }

  /** Empties the bag and fills it from the entry that was read last. Throws a `WeirError` where it is malformed. */
  fill(bag: Bag, proxy: Proxy, client: Client | undefined): void {
    bag.clear();
    const { entry } = this;
    const { slots } = this.#table!;
    const { common } = entry;
    const { reader, view, offset } = entry;
    const service = common.has(15)
      ? this.#services.of(reader, view, offset, common.start(15), common.end(15))
      : noService;
    this.#tags.read(bag, slots, entry, client);
    const direction = this.#tags.direction ?? service.direction ?? proxy.direction;

    this.#context(bag, slots, proxy, direction);
    this.#way(bag, slots);
    if (entry.isTcp) fillConnection(bag, slots, entry);
    else {
      this.#http.fill(bag, slots, entry);
      this.#messages.fill(bag, slots, entry);
    }
    this.#parties.fill(bag, slots, entry, service, proxy, direction);
    if (slots.readsMetadata) fillMetadata(bag, slots, entry);
    this.#tags.fill(bag, slots);
  }

  /** Whether some rule tells the records of a connection apart. */
  get readsEvent(): boolean {
    const { layout, connection } = this.#table!.slots;
    return connection.event >= 0 && !layout.isUnread(connection.event);
  }

  /** Says what a record of a connection is about, and which of its bytes are new. */
  putEvent(bag: Bag, event: ConnectionEvent, received: number, sent: number): void {
    putEvent(bag, this.#table!.slots, event, received, sent);
  }

  /** How many custom tags were left out, because the caller may not set their attribute, since the last call. */
  takeRefusedTags(): number {
    const { refused } = this.#tags;
    this.#tags.refused = 0;
    return refused;
  }

  /** What the proxy says of itself, and how it fared. */
  #context(bag: Bag, { context }: EntrySlots, proxy: Proxy, direction: Direction): void {
    const { entry } = this;
    if (context.reporterKind >= 0) bag.set(context.reporterKind, direction);
    if (context.reporterLocal >= 0) bag.set(context.reporterLocal, direction === "inbound");
    if (context.reporterUid >= 0 && proxy.uid !== "") bag.set(context.reporterUid, proxy.uid);
    if (context.proxyVersion >= 0 && proxy.version !== "") bag.set(context.proxyVersion, proxy.version);
    if (context.logName >= 0 && proxy.logName !== "") bag.set(context.logName, proxy.logName);
    if (context.proxyErrorCode < 0) return;
    const hasFlags = entry.common.has(16);
    bag.set(context.proxyErrorCode, hasFlags ? readResponseFlags(entry.at(entry.common, 16)) : noFlags);
  }

  /** Where the request came from, and where it went. */
  #way(bag: Bag, { source, origin, destination, upstream, connection }: EntrySlots): void {
    const { entry } = this;
    const { common } = entry;
    this.#address(bag, common.has(20) ? 20 : 2, source.ip, source.port);
    this.#address(bag, 2, origin.ip, -1);
    this.#address(bag, 3, destination.ip, destination.port);
    this.#address(bag, 13, upstream.ip, upstream.port);
    entry.put(bag, upstream.cluster, common, 15);
    entry.put(bag, upstream.failure, common, 18);
    entry.put(bag, upstream.route, common, 19);
    entry.put(bag, connection.terminationDetails, common, 25);
    if (upstream.attempts >= 0 && common.has(24)) bag.set(upstream.attempts, entry.number(common, 24));
    if (upstream.duration >= 0) bag.set(upstream.duration, entry.between(7, 10));
  }

  #address(bag: Bag, field: number, ip: number, port: number): void {
    const { entry } = this;
    if ((ip < 0 && port < 0) || !entry.common.has(field)) return;
    const reader = entry.at(entry.common, field);
    this.#addresses.read(reader, reader.end, bag, ip, port);
  }

  #tableOf(layout: Layout): Table {
    let table = this.#tables.get(layout);
    if (table === undefined) {
      const slots = entrySlots(layout);
      table = { slots, index: new EntryIndex(entryFields(slots)) };
      this.#tables.set(layout, table);
    }
    return table;
  }
}
