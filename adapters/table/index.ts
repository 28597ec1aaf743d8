import type { Stats } from "node:fs";
import { open, stat } from "node:fs/promises";
import { resolve } from "node:path";
import { defineAdapter, type TableRow } from "weir/sdk";
import { duration } from "weir/sdk/zod";
import { z } from "zod";
import { readRows, type ReadRows } from "./rows.ts";

const maxBytes = 128 * 1024 * 1024;

/** Reads the whole file, of which `found` is known. Throws what is wrong with it as such. */
async function readFile(path: string, file: string, found: Stats, maxRows: number): Promise<ReadRows> {
  if (!found.isFile()) throw new Error(`${file} is no regular file`);
  if (found.size > maxBytes) throw new Error(`${file} is larger than ${maxBytes} bytes`);
  const opened = await open(path);
  try {
    return await readRows(file, new TextDecoder("utf-8", { fatal: true }).decode(await opened.readFile()), maxRows);
  } catch (error) {
    throw error instanceof TypeError ? new Error(`${file} is not UTF-8 text`) : error;
  } finally {
    await opened.close();
  }
}

/** Limits of single keys, read from a file and read again when it changes. */
export default defineAdapter({
  name: "table",
  description: "Limits of single keys, read from a file.",
  provides: ["table"],
  config: z.strictObject({
    /** The file: `key: 1000/s 2000` a line, or `key,1000/s,2000` where its name ends in `.csv`. */
    file: z.string().min(1),
    /** How often it is looked whether the file has changed. */
    refresh: duration(100, 86_400_000).prefault("2s"),
    /** The most rows. */
    maxRows: z.int().positive().max(1_000_000).default(100_000),
  }),
  async inspect({ file, maxRows }, folder) {
    const path = resolve(folder, file);
    try {
      const { mistakes } = await readFile(path, file, await stat(path), maxRows);
      return mistakes.map(({ message, ...at }) => ({ message, at: { file: path, ...at } }));
    } catch (error) {
      return [{ message: `the table could not be read: ${(error as Error).message}`, path: ["file"] }];
    }
  },
  async create({ file, refresh: refreshMs, maxRows }, host) {
    const path = resolve(host.folder, file);
    let rows: ReadonlyMap<string, TableRow> = new Map();
    let seen = "";

    /** Reads the file if it is not the one that was read last. Throws what is wrong with it; the rows stay as they were. */
    async function read(): Promise<void> {
      const found = await stat(path);
      const print = `${found.dev} ${found.ino} ${found.size} ${found.mtimeMs}`;
      if (print === seen) return;
      // Whatever becomes of it: one that is wrong is told once.
      seen = print;
      const next = await readFile(path, file, found, maxRows);
      if (next.mistakes.length > 0)
        throw new Error(
          next.mistakes.map(({ line, column, message }) => `${file}:${line}:${column}: ${message}`).join("; "),
        );
      ({ rows } = next);
    }

    await read();
    let failing = "";
    host.every(refreshMs, async () => {
      const before = rows;
      try {
        await read();
        failing = "";
        if (rows !== before) host.log.info({ file, rows: rows.size }, "the table was read again");
      } catch (error) {
        const { message } = error as Error;
        if (message === failing) return;
        failing = message;
        host.count("table_refused");
        host.log.error({ err: error, file }, "the table could not be taken: the one before goes on");
      }
    });
    return {
      table: (key) => rows.get(key),
    };
  },
});
