import type { Vocabulary } from "../../attributes/vocabulary.ts";
import type { Expression } from "../../expression/expression.ts";
import type { Type } from "../../expression/index.ts";
import { isSecretName } from "../../util/secret-name.ts";
import type { RawReportRule } from "../schema/report-rule.ts";
import type { ShownField } from "../snapshot.ts";

/** Names, in lower case, of what a rule shows though it looks like a secret. */
export function revealOf(raw: RawReportRule): ReadonlySet<string> {
  return new Set(raw.reveal?.items.map(({ value }) => value.toLowerCase()));
}

/** A field of a log or a span, to be masked where it could tell a secret. */
export function shownField(
  name: string,
  value: Expression,
  reveal: ReadonlySet<string>,
  vocabulary: Vocabulary,
): ShownField {
  return tellsSecret(value, reveal, vocabulary) ? { name, value, masked: true } : { name, value };
}

/** Types that say nothing of a secret's text. Of a map that is shown whole, telemetry masks entry by entry. */
const harmless: ReadonlySet<Type["kind"]> = new Set(["bool", "int64", "double", "timestamp", "duration", "null"]);

/** Whether an expression's value may hold the text of something that is called as secrets are. */
function tellsSecret({ type, uses, source }: Expression, reveal: ReadonlySet<string>, vocabulary: Vocabulary): boolean {
  if (harmless.has(type.kind)) return false;
  return uses.some(({ name, key }) => {
    // By a key that is only known with the request, any entry of the map may be shown.
    const isAny = key === undefined && source.trim() !== name && vocabulary.get(name)?.type === "string_map";
    return (isAny || isSecretName(key ?? name)) && !reveal.has((key ?? name).toLowerCase());
  });
}
