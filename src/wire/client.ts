/** Who calls, as a listener that names its clients knows it. Absent at a listener that names none. */
export interface Client {
  /** The name of `weir.yaml` that the caller's certificate matched. */
  readonly name: string;
  /** Whether it may ask the rate limit door about a domain (`ratelimit.domain`). */
  maySpeakFor(domain: string): boolean;
  /** Whether it may set an attribute, by the attribute's name without a key. */
  maySet(attribute: string): boolean;
}
