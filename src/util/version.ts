import { readFileSync } from "node:fs";

/** Weir's own version, as its package.json says it. */
export function weirVersion(): string {
  const text = readFileSync(new URL("../../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}
