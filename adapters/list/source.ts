import { open } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";

/**
 * Reads the text of a list. `undefined`, only where `held` says that the text of the last time is the list that holds:
 * it has not changed since. Rejects when it cannot be read.
 */
export type Source = (signal: AbortSignal, held: boolean) => Promise<string | undefined>;

/** The part of `fetch` that is used. */
export type Fetch = (
  url: string,
  init: { headers: Record<string, string>; signal: AbortSignal; redirect: "follow" },
) => Promise<Response>;

/** A list in a file of at most `maxBytes`. */
export function fileSource(path: string, maxBytes: number): Source {
  return async () => {
    let file: FileHandle | undefined;
    try {
      file = await open(path, "r");
      const chunks: Uint8Array[] = [];
      let size = 0;
      for await (const chunk of file.createReadStream({ end: maxBytes, autoClose: false })) {
        size += (chunk as Uint8Array).length;
        if (size > maxBytes) throw new RangeError(`${path} is larger than ${maxBytes} bytes`);
        chunks.push(chunk as Uint8Array);
      }
      return decode(chunks, path);
    } finally {
      await file?.close();
    }
  };
}

/** A list behind a URL. The body is cut off at `maxBytes`, the whole exchange at `timeoutMs`. */
export function urlSource(url: string, maxBytes: number, timeoutMs: number, fetch: Fetch): Source {
  let etag: string | undefined;
  return async (signal, held) => {
    const known = held ? etag : undefined;
    const controller = new AbortController();
    const abort = (): void => controller.abort(signal.reason);
    const timer = setTimeout(
      () => controller.abort(new Error(`${url} did not answer within ${timeoutMs} ms`)),
      timeoutMs,
    );
    signal.addEventListener("abort", abort, { once: true });
    try {
      signal.throwIfAborted();
      const response = await reached(url, fetch, {
        headers: { accept: "text/plain, */*;q=0.1", ...(known === undefined ? {} : { "if-none-match": known }) },
        signal: controller.signal,
        redirect: "follow",
      });
      if (response.status === 304 && known !== undefined) {
        await response.body?.cancel();
        return undefined;
      }
      if (response.status !== 200) {
        await response.body?.cancel();
        throw new Error(`${url} answered with status ${response.status}`);
      }
      const text = await bodyOf(response, url, maxBytes);
      etag = response.headers.get("etag") ?? undefined;
      return text;
    } catch (error) {
      throw controller.signal.aborted ? controller.signal.reason : error;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
    }
  };
}

/** Fetches, and says of a failure what `fetch` hides behind "fetch failed": which URL, and why. */
async function reached(url: string, fetch: Fetch, init: Parameters<Fetch>[1]): Promise<Response> {
  try {
    return await fetch(url, init);
  } catch (error) {
    const { message, cause } = error as Error;
    throw new Error(`${url} could not be fetched: ${cause instanceof Error ? cause.message : message}`, {
      cause: error,
    });
  }
}

async function bodyOf(response: Response, url: string, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  const reader = response.body?.getReader();
  for (let part = await reader?.read(); part !== undefined && !part.done; part = await reader!.read()) {
    size += part.value.length;
    if (size > maxBytes) {
      await reader!.cancel();
      throw new RangeError(`${url} answered more than ${maxBytes} bytes`);
    }
    chunks.push(part.value);
  }
  return decode(chunks, url);
}

function decode(chunks: readonly Uint8Array[], from: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(chunks));
  } catch (cause) {
    throw new TypeError(`${from} is not UTF-8`, { cause });
  }
}

/** The entries of a text: one a line, without surrounding space; empty lines and lines that begin with `#` are none. */
export function entriesOf(text: string): string[] {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
}
