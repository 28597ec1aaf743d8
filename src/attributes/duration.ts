import { fraction } from "./timestamp.ts";

/** The longest duration either way, in seconds: about 10,000 years (google/protobuf/duration.proto). */
export const maxDurationSeconds = 315_576_000_000;

/** Nanoseconds in each unit of a duration's text. */
const units: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  μs: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
};

/** A span of time with nanoseconds, as google.protobuf.Duration has it. Immutable. */
export class Duration {
  /** Whole seconds, rounded towards 0. */
  readonly seconds: number;
  /** -999,999,999 to 999,999,999; never of the other sign than `seconds`. */
  readonly nanos: number;

  private constructor(seconds: number, nanos: number) {
    this.seconds = seconds;
    this.nanos = nanos;
  }

  /** A duration, or `undefined` when it is too long, its parts differ in sign, or they are no whole numbers in range. */
  static of(seconds: number, nanos: number): Duration | undefined {
    if (!Number.isInteger(seconds) || Math.abs(seconds) > maxDurationSeconds) return undefined;
    if (!Number.isInteger(nanos) || Math.abs(nanos) > 999_999_999) return undefined;
    if ((seconds > 0 && nanos < 0) || (seconds < 0 && nanos > 0)) return undefined;
    return new Duration(seconds, nanos);
  }

  static fromNanos(nanos: bigint): Duration | undefined {
    return Duration.of(Number(nanos / 1_000_000_000n), Number(nanos % 1_000_000_000n));
  }

  static fromMs(ms: number): Duration | undefined {
    // Adding 0 makes -0 plain 0.
    const seconds = Math.trunc(ms / 1000) + 0;
    return Duration.of(seconds, Math.trunc((ms - seconds * 1000) * 1e6) + 0);
  }

  /** Reads text such as `1.5s`, `1h30m` or `-250ms` (Go's time.ParseDuration, which CEL refers to); `undefined` when it is not. */
  static parse(text: string): Duration | undefined {
    if (text.length > 64) return undefined;
    if (text === "0" || text === "+0" || text === "-0") return new Duration(0, 0);
    const m = /^([+-]?)((?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h)(?:.*))$/.exec(text);
    if (m === null) return undefined;
    let nanos = 0n;
    let rest = m[2]!;
    while (rest !== "") {
      const part = /^(\d*)(?:\.(\d*))?(ns|us|µs|μs|ms|s|m|h)/.exec(rest);
      if (part === null || (part[1] === "" && (part[2] ?? "") === "")) return undefined;
      const unit = units[part[3]!]!;
      nanos += BigInt(part[1] || "0") * unit;
      const digits = (part[2] ?? "").slice(0, 18);
      if (digits !== "") nanos += (BigInt(digits) * unit) / 10n ** BigInt(digits.length);
      rest = rest.slice(part[0].length);
    }
    return Duration.fromNanos(m[1] === "-" ? -nanos : nanos);
  }

  /** Milliseconds, with a fraction. */
  get ms(): number {
    return this.seconds * 1000 + this.nanos / 1e6;
  }

  toNanos(): bigint {
    return BigInt(this.seconds) * 1_000_000_000n + BigInt(this.nanos);
  }

  /** Below 0, 0 or above 0 as this duration is shorter than, equal to or longer than the other. */
  compare(other: Duration): number {
    return this.seconds - other.seconds || this.nanos - other.nanos;
  }

  /** Seconds with 0, 3, 6 or 9 digits of fraction and an `s` (the JSON form of protobuf): `1.500s`. */
  toString(): string {
    const sign = this.seconds < 0 || this.nanos < 0 ? "-" : "";
    return `${sign}${Math.abs(this.seconds)}${fraction(Math.abs(this.nanos))}s`;
  }

  toJSON(): string {
    return this.toString();
  }
}
