import { writeTextField, writeTextsField } from "../protobuf/struct.ts";
import type { Writer } from "../protobuf/writer.ts";
import { grpcCodeName } from "../status.ts";

/** What of a decision a proxy's filters and its access log can tell. */
interface Told {
  readonly id: string;
  readonly version: string;
  /** A gRPC code; left out where the proxy tells the outcome itself. */
  readonly code?: number;
  readonly rules: readonly string[];
  readonly observed: readonly string[];
}

const none: readonly never[] = [];

/**
 * Writes what a decision tells Envoy's filters and access log, as a google.protobuf.Struct:
 *
 * - `decision_id`, `policy_version`; `code`: a gRPC code as policies write it, `ok` for a pass;
 * - `rule`: the rule that names the refusal, `rules`: all that refused, `observed`: all that would have refused, were
 *   their policies enforced; `degraded`: all limits whose store did not answer, so that `onError` did. Each is left out
 *   when it is empty.
 */
export function writeDecisionMetadata(
  writer: Writer,
  field: number,
  told: Told,
  degraded: readonly string[] = none,
): void {
  const { id, version, code, rules, observed } = told;
  const struct = writer.open(field);
  writeTextField(writer, "decision_id", id);
  writeTextField(writer, "policy_version", version);
  if (code !== undefined) writeTextField(writer, "code", grpcCodeName(code).toLowerCase());
  if (rules.length > 0) {
    writeTextField(writer, "rule", rules[0]!);
    writeTextsField(writer, "rules", rules);
  }
  if (observed.length > 0) writeTextsField(writer, "observed", observed);
  if (degraded.length > 0) writeTextsField(writer, "degraded", degraded);
  writer.close(struct);
}
