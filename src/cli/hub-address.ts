import { InvalidArgumentError } from "commander";

/** Reads `--address`: a host and a port. */
export function readAddress(text: string): string {
  if (/^(\[[^\]\s]+\]|[^:[\]\s]+):\d{1,5}$/.test(text)) return text;
  throw new InvalidArgumentError("expected HOST:PORT, such as 127.0.0.1:9091");
}
