import { Fault } from "../../attributes/fault.ts";
import { Cidr, Ip } from "../../attributes/ip.ts";
import { type Overload, bound, fn, method } from "../overload.ts";
import { types } from "../typing.ts";

const { bool, cidr, int, ip, string } = types;

function parseIp(text: string): Ip | Fault {
  return Ip.parse(text) ?? new Fault(`expected an IP address, found ${JSON.stringify(text.slice(0, 80))}`);
}

function parseCidr(text: string): Cidr | Fault {
  return (
    Cidr.parse(text) ??
    new Fault(`expected an address range such as 10.0.0.0/8, found ${JSON.stringify(text.slice(0, 80))}`)
  );
}

function contains(range: Cidr | Fault, address: Ip | Fault): boolean | Fault {
  if (range instanceof Fault) return range;
  return address instanceof Fault ? address : range.contains(address);
}

/** `inCidr` with its range read once when that is a constant. */
function inCidr<T extends Ip | string>(toIp: (value: T) => Ip | Fault) {
  return (_tools: unknown, [, constant]: readonly [unknown, string | undefined]) => {
    if (constant === undefined) return (value: T, range: string) => contains(parseCidr(range), toIp(value));
    const range = parseCidr(constant);
    return range instanceof Fault ? range : (value: T) => contains(range, toIp(value));
  };
}

/** Addresses and ranges of addresses. `ip()` itself stands among the conversions. */
export const addresses: readonly Overload[] = [
  fn("cidr", [string], cidr, parseCidr, { checked: true }),
  fn("isIP", [string], bool, (text) => Ip.parse(text) !== undefined),
  fn("isCIDR", [string], bool, (text) => text.includes("/") && Cidr.parse(text) !== undefined),
  method("family", [ip], int, (address) => address.family),
  method("containsIP", [cidr, ip], bool, (range, address) => range.contains(address)),
  method("containsIP", [cidr, string], bool, (range, text) => contains(range, parseIp(text))),
  method("prefixLength", [cidr], int, (range) => range.prefix),
  bound(
    { name: "inCidr", method: false, params: [ip, string], result: bool },
    inCidr<Ip>((address) => address),
  ),
  bound({ name: "inCidr", method: false, params: [string, string], result: bool }, inCidr<string>(parseIp)),
  fn("string", [cidr], string, String),
];
