import type { Shape } from "../../../policy/shape/shape.ts";
import { text } from "../../../policy/shape/scalars.ts";
import type { Given, GivenAttribute } from "../test-file.ts";
import { json, oneOrMore } from "./basics.ts";

const names = oneOrMore("a name or a list of names", text("a name"));

/** Attributes by name, `use` for fixtures to build on, `wrong_type` for attributes that came with another type. */
export const given: Shape<Given> = {
  expected: "a map of attribute names to values",
  schema: { type: "object", properties: { use: names.schema, wrong_type: names.schema }, additionalProperties: true },
  read(node, reading) {
    if (node.kind !== "map") return reading.mismatch(node, "a map of attribute names to values");
    let use: Given["use"] = [];
    let wrongType: Given["wrongType"] = [];
    const attributes: GivenAttribute[] = [];
    for (const { key, value } of node.entries) {
      if (key.text === "use") use = names.read(value, reading) ?? [];
      else if (key.text === "wrong_type") wrongType = names.read(value, reading) ?? [];
      else attributes.push({ name: key.text, key, value: json.read(value, reading)! });
    }
    return { use, attributes, wrongType };
  },
};
