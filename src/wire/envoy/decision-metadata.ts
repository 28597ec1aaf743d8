import type { Decision } from "../../runtime/decision.ts";
import { writeTextField, writeTextsField } from "../protobuf/struct.ts";
import type { Writer } from "../protobuf/writer.ts";
import { grpcCodeName } from "../status.ts";

/** The field of dynamic metadata under which all that Weir says stands. */
export const metadataKey = "weir";

/**
 * Writes what a decision tells Envoy's filters and access log, as a google.protobuf.Struct with one field, `weir`:
 *
 * - `decision`: its id, `version`: that of the policies, `code`: a gRPC code as policies write it, `ok` for a pass;
 * - `rule`: the rule that names the refusal, `rules`: all that refused, `observed`: all that would have refused, were
 *   their policies enforced. Each is left out when it is empty.
 */
export function writeDecisionMetadata(writer: Writer, field: number, decision: Decision): void {
  const { id, version, code, rules, observed } = decision;
  const struct = writer.open(field);
  const entry = writer.open(1);
  writer.string(1, metadataKey);
  const value = writer.open(2);
  const weir = writer.open(5);
  writeTextField(writer, "decision", id);
  writeTextField(writer, "version", version);
  writeTextField(writer, "code", grpcCodeName(code).toLowerCase());
  if (rules.length > 0) {
    writeTextField(writer, "rule", rules[0]!);
    writeTextsField(writer, "rules", rules);
  }
  if (observed.length > 0) writeTextsField(writer, "observed", observed);
  writer.close(weir);
  writer.close(value);
  writer.close(entry);
  writer.close(struct);
}
