import { standardVocabulary } from "../attributes/standard-vocabulary.ts";
import { parseValue } from "../attributes/text.ts";
import { attributeTypes, type AttributeType, type StringMap, type Value } from "../attributes/value.ts";
import type { Attribute, Vocabulary } from "../attributes/vocabulary.ts";
import { nearest } from "../util/nearest.ts";
import { WeirError } from "../util/weir-error.ts";

/** Attributes of a command line, and the vocabulary that types them: the built-in words and those given with a type. */
export interface AttributeArguments {
  readonly attributes: Readonly<Record<string, Value>>;
  readonly vocabulary: Vocabulary;
}

/** For a command's help. */
export const attributeHelp = `Attributes are name=value, with the types of the built-in vocabulary; name[key]=value for one entry of a map;
name:type=value for a word of your own (types: ${attributeTypes.join(", ")}).`;

/** Reads `name=value`, `name[key]=value` and `name:type=value`. Throws WEIR_USAGE. */
export function readAttributeArguments(given: readonly string[]): AttributeArguments {
  const vocabulary = new Map<string, Attribute>(standardVocabulary);
  const values = new Map<string, Value>();
  for (const argument of given) {
    const m = /^([^=[:]+)(?:\[([^\]]*)\]|:(\w+))?=(.*)$/s.exec(argument);
    if (m === null) throw new WeirError("WEIR_USAGE", `expected name=value, found ${JSON.stringify(argument)}`);
    const [, name, key, type, text] = m as unknown as [string, string, string | undefined, string | undefined, string];
    const attribute = attributeOf(name, type, vocabulary);
    vocabulary.set(name, attribute);
    if (key !== undefined && attribute.type !== "string_map") {
      throw new WeirError("WEIR_USAGE", `expected ${name}=value: ${name} is no map but of type ${attribute.type}`);
    }
    const map = values.get(name) as StringMap | undefined;
    const value = key === undefined ? parseValue(attribute.type, text) : new Map([...(map ?? []), [key, text]]);
    if (value === undefined) {
      throw new WeirError("WEIR_USAGE", `expected a value of type ${attribute.type} for ${name}, found "${text}"`);
    }
    values.set(name, value);
  }
  return { attributes: Object.fromEntries(values), vocabulary };
}

function attributeOf(name: string, type: string | undefined, vocabulary: Vocabulary): Attribute {
  const known = vocabulary.get(name);
  if (type === undefined) {
    if (known !== undefined) return known;
    const near = nearest(name, vocabulary.keys());
    const hint = near === undefined ? "" : `; did you mean "${near}"?`;
    throw new WeirError(
      "WEIR_USAGE",
      `expected an attribute, found "${name}"${hint} (name:type=value names one of your own)`,
    );
  }
  if (!attributeTypes.includes(type as AttributeType)) {
    throw new WeirError("WEIR_USAGE", `expected a type (${attributeTypes.join(", ")}), found "${type}"`);
  }
  return { name, type: type as AttributeType, known: "check", description: "" };
}
