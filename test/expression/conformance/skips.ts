import type { SpecTest } from "./suite.ts";

/** Tests of the specification that are known to fail, by group, and why. A test fails when one of them passes. */
interface Skip {
  readonly file: string;
  readonly reason: string;
  /** Which tests of the file; left out: all of them. */
  readonly only?: (test: SpecTest) => boolean;
}

export const skips: readonly Skip[] = [
  { file: "block_ext", reason: "cel.block is what optimizers write, not people" },
  { file: "encoders_ext", reason: "the base64 extension is not offered" },
  { file: "macros2", reason: "macros with two variables are an extension that is not offered" },
  { file: "math_ext", reason: "the math extension is not offered" },
  { file: "proto2_ext", reason: "proto.getExt and proto.hasExt: policies have no protobuf messages" },
  {
    file: "enums",
    reason: "enums as types of their own are an option of the specification; here an enum is an int",
    // What is the same whether an enum is an int or not is run.
    only: ({ name }) =>
      name.startsWith("strong_") &&
      !/comparison|standalone_name|symbol_to_int|strong_proto3.convert_unnamed_to_int_select/.test(name),
  },
  {
    file: "string_ext",
    reason: "format, quote and reverse of the strings extension are not offered",
    only: ({ expr }) => /format\(|strings\.quote\(|\.reverse\(/.test(expr),
  },
  {
    file: "type_deductions",
    reason: "the test declares functions of its own",
    only: ({ expr }) => /\b(?:fn|tuple|sort)\(/.test(expr),
  },
];

export function skipOf(test: SpecTest): Skip | undefined {
  return skips.find((skip) => skip.file === test.file && (skip.only?.(test) ?? true));
}
