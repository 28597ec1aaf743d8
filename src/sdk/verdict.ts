/** The gRPC status codes a refusal can carry, by name (https://grpc.github.io/grpc/core/md_doc_statuscodes.html). */
export const refusalCodes = {
  cancelled: 1,
  unknown: 2,
  invalid_argument: 3,
  deadline_exceeded: 4,
  not_found: 5,
  already_exists: 6,
  permission_denied: 7,
  resource_exhausted: 8,
  failed_precondition: 9,
  aborted: 10,
  out_of_range: 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  data_loss: 15,
  unauthenticated: 16,
} as const;

export type RefusalCode = keyof typeof refusalCodes;

/** What an adapter says of a request. */
export type Verdict = Allowed | Refused;

export interface Allowed {
  readonly allow: true;
  /** How long the verdict may be kept, in milliseconds; left out: the rule's `cache:` or the hub's default. */
  readonly validForMs?: number | undefined;
  /** How many uses the verdict is good for; left out: the hub's default. */
  readonly validUses?: number | undefined;
}

export interface Refused {
  readonly allow: false;
  /** Default `permission_denied`. */
  readonly code?: RefusalCode | undefined;
  /** For the caller. A rule's own `message:` wins over it. */
  readonly message?: string | undefined;
  readonly validForMs?: number | undefined;
  readonly validUses?: number | undefined;
}
