/** First and last second that a timestamp can name: years 1 to 9999 (google/protobuf/timestamp.proto). */
export const minTimestampSeconds = -62_135_596_800;
export const maxTimestampSeconds = 253_402_300_799;

/** An instant with nanoseconds, as google.protobuf.Timestamp has it. Immutable. */
export class Timestamp {
  /** Whole seconds since 1970, rounded down. */
  readonly seconds: number;
  /** 0 to 999,999,999, forward from `seconds`. */
  readonly nanos: number;

  private constructor(seconds: number, nanos: number) {
    this.seconds = seconds;
    this.nanos = nanos;
  }

  /** An instant, or `undefined` when it lies outside the years 1 to 9999 or its parts are no whole numbers in range. */
  static of(seconds: number, nanos: number): Timestamp | undefined {
    if (!Number.isInteger(seconds) || seconds < minTimestampSeconds || seconds > maxTimestampSeconds) return undefined;
    if (!Number.isInteger(nanos) || nanos < 0 || nanos > 999_999_999) return undefined;
    return new Timestamp(seconds, nanos);
  }

  static fromMs(ms: number): Timestamp | undefined {
    const seconds = Math.floor(ms / 1000);
    const nanos = Math.round((ms - seconds * 1000) * 1e6);
    return nanos === 1e9 ? Timestamp.of(seconds + 1, 0) : Timestamp.of(seconds, nanos);
  }

  /** Reads RFC 3339 text; `undefined` when it is not. */
  static parse(text: string): Timestamp | undefined {
    const m = /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))$/.exec(text);
    if (m === null) return undefined;
    const [year, month, day, hour, minute, second] = m.slice(1, 7).map(Number) as [
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    if (hour > 23 || minute > 59 || second > 59) return undefined;
    const date = new Date(0);
    date.setUTCFullYear(year, month - 1, day);
    if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined;
    date.setUTCHours(hour, minute, second);
    let offset = 0;
    if (m[8] !== undefined) {
      const hours = Number(m[9]);
      const minutes = Number(m[10]);
      if (hours > 23 || minutes > 59) return undefined;
      offset = (hours * 60 + minutes) * 60 * (m[8] === "-" ? -1 : 1);
    }
    return Timestamp.of(date.getTime() / 1000 - offset, Number((m[7] ?? "").padEnd(9, "0")));
  }

  /** Milliseconds since 1970, with a fraction. */
  get ms(): number {
    return this.seconds * 1000 + this.nanos / 1e6;
  }

  /** Below 0, 0 or above 0 as this instant is before, at or after the other. */
  compare(other: Timestamp): number {
    return this.seconds - other.seconds || this.nanos - other.nanos;
  }

  /** RFC 3339 in UTC, with 0, 3, 6 or 9 digits of fraction (the JSON form of protobuf). */
  toString(): string {
    const whole = new Date(this.seconds * 1000).toISOString().slice(0, 19);
    return `${whole}${fraction(this.nanos)}Z`;
  }

  toJSON(): string {
    return this.toString();
  }
}

/** A fraction of a second as text: nothing, or a point and 3, 6 or 9 digits. */
export function fraction(nanos: number): string {
  if (nanos === 0) return "";
  const digits = String(nanos).padStart(9, "0");
  if (nanos % 1_000_000 === 0) return `.${digits.slice(0, 3)}`;
  if (nanos % 1_000 === 0) return `.${digits.slice(0, 6)}`;
  return `.${digits}`;
}
