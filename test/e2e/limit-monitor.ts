import { createHash } from "node:crypto";
import type { ExecutionContext } from "ava";
import { refundScript } from "../../adapters/redis/scripts.ts";
import { takeScript } from "../../adapters/redis/take-script.ts";
import type { RedisServer } from "../adapters/redis-server.ts";

/** What a server has counted of one limit in fixed windows, of which each request takes one unit. */
export interface LimitMonitor {
  /** Units of requests that were granted, and those that were given back. */
  readonly granted: number;
  readonly returned: number;
  /** Units that were charged after hubs had let them through without it. */
  readonly paid: number;
  /** What stands in its only count; -1 where there is none. */
  standing(): Promise<number>;
}

/** The names of a script: its hash, and the whole of it, as it comes when the server does not know it yet. */
function namesOf(lua: string): readonly unknown[] {
  return [createHash("sha1").update(lua).digest("hex"), lua.replaceAll("\n", "\\n")];
}

const take = namesOf(takeScript);
const refund = namesOf(refundScript);

/** Listens to what a server does for one limit, until the test ends. */
export async function monitorLimit({ client }: RedisServer, limit: string, t: ExecutionContext): Promise<LimitMonitor> {
  const told = { granted: 0, returned: 0 };
  /** Units by the keys of payments' ids: as they were sent last, and as they were taken. */
  const sent = new Map<string, number>();
  const paid = new Map<string, number>();
  let writes: "takes" | "gives back" | "something else" = "something else";
  let units = 0;
  let isPaid = false;

  const monitor = await client.monitor();
  monitor.on("error", () => undefined);
  t.teardown(() => monitor.disconnect());
  monitor.on("monitor", (_: string, [command, ...args]: string[], source: string) => {
    if (source !== "lua") {
      const [script, count, ...rest] = args;
      const keys = rest.slice(0, Number(count));
      const isOf = keys.some((key) => key.includes(limit));
      writes = !isOf
        ? "something else"
        : take.includes(script)
          ? "takes"
          : refund.includes(script)
            ? "gives back"
            : writes;
      if (isOf && take.includes(script)) for (const [id, amount] of paymentsOf(keys, rest)) sent.set(id, amount);
      if (isOf && refund.includes(script)) units = Number(rest[keys.length + 5]);
      return;
    }
    // Only a script that writes has done anything: the count, and after it the ids of payments that it was raised by.
    if (command !== "SET" || writes === "something else") return;
    const amount = sent.get(args[0]!);
    if (writes === "gives back") told.returned += units;
    else if (amount === undefined) {
      told.granted++;
      isPaid = false;
    } else {
      if (!isPaid) told.granted--;
      isPaid = true;
      if (paid.has(args[0]!)) throw new Error(`charged twice: ${args[0]}`);
      paid.set(args[0]!, amount);
    }
  });
  return {
    get granted() {
      return told.granted;
    },
    get returned() {
      return told.returned;
    },
    get paid() {
      return [...paid.values()].reduce((sum, amount) => sum + amount, 0);
    },
    async standing() {
      const keys = (await client.keys(`*${limit}*`)).filter((key) => key.endsWith("}"));
      const held = keys.length === 1 ? await client.getBuffer(keys[0]!) : null;
      return held === null ? -1 : held.readDoubleBE(8);
    },
  };
}

/** The payments in a command, whose third argument has the records of its charges, as `chargeFormat` says. */
function* paymentsOf(keys: readonly string[], args: readonly string[]): Generator<[id: string, units: number]> {
  const records = bytesOf(args[keys.length + 2]!);
  let key = 0;
  for (let at = 0; at < records.length; at += recordBytes) {
    const [how, follows, units] = [records[at + 1]!, records[at + 2]!, records.readDoubleBE(at + 31)];
    key++;
    if (follows === 1 && how === 2) yield [keys[key]!, units];
    if (follows === 1) key++;
    else if (follows !== 0 || how === 2) throw new Error(`not a charge of these tests: ${args.join(" ")}`);
  }
}

/** Of a record: a letter, two bytes, a number of four and five of eight. */
const recordBytes = 1 + 1 + 1 + 4 + 5 * 8;

/** An argument as MONITOR shows it: what is not printable behind a backslash. */
function bytesOf(shown: string): Buffer {
  const letters: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t", a: "\x07", b: "\b" };
  const text = shown.replaceAll(/\\(?:x([0-9a-f]{2})|(.))/g, (_, hex: string | undefined, letter: string) =>
    hex === undefined ? (letters[letter] ?? letter) : String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return Buffer.from(text, "latin1");
}
