import type { CheckRule } from "../policy/snapshot.ts";

/** gRPC status codes that the runtime itself answers with. */
export const codes = {
  ok: 0,
  invalidArgument: 3,
  notFound: 5,
  permissionDenied: 7,
  resourceExhausted: 8,
  unavailable: 14,
};

/** That a rule refuses a request, and why. */
export interface Refusal {
  readonly rule: CheckRule;
  /** gRPC status code. */
  readonly code: number;
  /** For the caller. */
  readonly message: string;
}

/** How many refusals a message tells of, and how long the part of each may be. */
const maxTold = 8;
const maxPart = 1000;

/**
 * Puts refusals into the order of their rules' policy and name. Those that only say that nobody could judge come last:
 * a client that lets requests pass while the hub is unavailable must not take a refusal for that.
 */
export function sortRefusals(refusals: Refusal[]): void {
  if (refusals.length < 2) return;
  const unjudged = ({ code }: Refusal): number => (code === codes.unavailable ? 1 : 0);
  refusals.sort((a, b) => unjudged(a) - unjudged(b) || a.rule.ordinal - b.rule.ordinal);
}

/** One message for all refusals, in their order. */
export function messageOf(refusals: readonly Refusal[]): string {
  if (refusals.length === 1) return cut(refusals[0]!.message);
  const told = refusals.slice(0, maxTold).map(({ message }) => cut(message));
  if (refusals.length > maxTold) told.push(`and ${refusals.length - maxTold} more`);
  return told.join("; ");
}

function cut(message: string): string {
  return message.length <= maxPart ? message : `${message.slice(0, maxPart)}...`;
}

/** What a caller is told when nobody could say whether a rule refuses. */
export function unanswered(rule: CheckRule): string {
  return `${rule.id} cannot be judged at the moment`;
}
