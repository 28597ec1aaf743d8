import type { DividedAnswer } from "./divided-rows.ts";
import { printable } from "./table-text.ts";

/** What the admin listener says of limits, as far as it is printed. */
export interface LimitsAnswer {
  readonly rule: string;
  readonly limits: readonly {
    readonly rule: string;
    readonly limit: string;
    readonly when?: string;
    readonly overrides?: readonly { readonly when: string; readonly limit: string }[];
    readonly algorithm: string;
    readonly by: Readonly<Record<string, string>>;
    readonly via: string;
    readonly mode: string;
    readonly keys?: number;
    readonly divided?: { readonly keys: number; readonly buckets: number };
    readonly used: number;
    readonly remaining: number;
    readonly reset_ms: number;
  }[];
  readonly by: readonly string[];
  readonly keys: readonly {
    readonly key?: Readonly<Record<string, string>>;
    readonly used: number;
    readonly reset_ms: number;
    readonly limit: string;
  }[];
  readonly key: Readonly<Record<string, string>> | string;
  readonly seen: number;
  readonly complete: boolean;
  /** What is divided among proxies; of a reset, of how many keys. */
  readonly divided?: number | readonly DividedAnswer[];
  readonly reset: number;
  readonly granted: number;
  readonly until: string;
}

/** Each limit, with its overrides. */
export function listRows({ limits }: LimitsAnswer): string[][] {
  const isDivided = limits.some(({ divided }) => divided !== undefined);
  const rows = limits.flatMap(({ rule, limit, overrides = [], algorithm, by, via, mode, keys, divided }) => [
    [
      mode === "observe" ? `${rule} (observes)` : rule,
      limit,
      algorithm,
      Object.values(by).join(", ") || "-",
      via,
      keys === undefined ? "-" : String(keys),
      ...(isDivided ? [divided === undefined ? "-" : `${divided.keys} (${divided.buckets} buckets)`] : []),
    ],
    ...overrides.map((override) => [
      "",
      override.limit,
      `when ${override.when}`,
      "",
      "",
      "",
      ...(isDivided ? [""] : []),
    ]),
  ]);
  return rows.length === 0
    ? []
    : [["LIMIT", "RATE", "ALGORITHM", "BY", "VIA", "KEYS", ...(isDivided ? ["DIVIDED"] : [])], ...rows];
}

/** The keys that take most of one limit. */
export function topRows({ keys, by }: LimitsAnswer): string[][] {
  const rows = keys.map(({ key, used, reset_ms: ms, limit }) => [
    ...(key === undefined ? ["(too long to be kept)", ...by.slice(1).map(() => "")] : by.map((name) => key[name]!)),
    String(used),
    limit,
    timeText(ms),
  ]);
  return rows.length === 0 ? [] : [[...by.map((name) => name.toUpperCase()), "USED", "RATE", "FREE IN"], ...rows];
}

/** Where one key stands. */
export function standRows({ limits }: LimitsAnswer): string[][] {
  return [
    ["RATE", "USED", "LEFT", "FREE IN", ""],
    ...limits.map(({ limit, used, remaining, reset_ms: ms, when }) => [
      limit,
      String(used),
      String(remaining),
      timeText(ms),
      when === undefined ? "" : `when ${when}`,
    ]),
  ];
}

/** A key as it is written on the command line. */
export function keyText(key: Readonly<Record<string, string>> | string): string {
  if (typeof key === "string") return key;
  return (
    Object.entries(key)
      .map(([name, text]) => printable(`${name}=${text}`))
      .join(" ") || "its one count"
  );
}

function timeText(ms: number): string {
  if (ms < 1000) return `${ms} ms`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} d`;
}
