import { outputTypes } from "./output.ts";

/** The types an adapter's declared input can have, and what each is in TypeScript. */
export interface InputTypeMap {
  string: string;
  /** A 64-bit integer; beyond the safe integers it comes rounded to the nearest double. */
  int64: number;
  double: number;
  bool: boolean;
  /** Milliseconds since 1970. */
  timestamp: Date;
  /** Milliseconds. */
  duration: number;
  /** An IP address in canonical text: dotted IPv4 (also for IPv4-mapped IPv6), or RFC 5952 IPv6. */
  ip: string;
  bytes: Uint8Array;
  string_map: ReadonlyMap<string, string>;
  /** Any scalar, handed over as text (IPs, durations and timestamps in their canonical text). */
  any: string;
}

export type InputType = keyof InputTypeMap;

/** The types that an adapter's declared input can have. */
export const inputTypes = [...outputTypes, "any"] as const satisfies readonly InputType[];

/** Names of inputs and their types. A name ending in `?` is optional for the policy author and `undefined` when left out. */
export type Inputs = Readonly<Record<string, InputType>>;

type RequiredNames<I extends Inputs> = Exclude<keyof I & string, `${string}?`>;
type OptionalNames<I extends Inputs> = Extract<keyof I & string, `${string}?`>;
type Bare<N extends string> = N extends `${infer B}?` ? B : N;

/** What `check` receives for declared inputs. Where it is not known which they are, each may be missing. */
export type InputTypes<I extends Inputs> = string extends keyof I
  ? Readonly<Record<string, InputTypeMap[InputType] | undefined>>
  : {
      readonly [N in RequiredNames<I>]: InputTypeMap[I[N]];
    } & {
      readonly [N in OptionalNames<I> as Bare<N>]?: InputTypeMap[I[N]] | undefined;
    };
