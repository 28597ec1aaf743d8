import { Fault } from "./fault.ts";

const overlong = new Fault("request.path has bytes that no UTF-8 text has, which some read as other characters");
const nul = new Fault("request.path has a NUL, at which some stop to read");
const fragment = new Fault(
  "request.path has a fragment, which no request has: some cut it off and others take it for a part of the path",
);
const dotSegment = new Fault(
  "request.path has a dot segment beside parameters, an empty segment or an encoded slash, and means one thing to some and another to others",
);

/** Characters that stand for themselves in a path: unreserved ones and delimiters (RFC 3986, 3.3), but for `;`. */
const plain = new Uint8Array(128);
const unreserved = new Uint8Array(128);
for (const c of "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~") {
  plain[c.charCodeAt(0)] = 1;
  unreserved[c.charCodeAt(0)] = 1;
}
for (const c of "/!$&'()*+,=:@") plain[c.charCodeAt(0)] = 1;

/** Where a path that begins with a slash ends, or is seen not to be in its one form: no plain character, or `//` or `/.`. */
const unusual = /[^A-Za-z0-9\-._~/!$&'()*+,=:@]|\/[/.]/;

const slash = 0x2f;
const question = 0x3f;
const hash = 0x23;

/**
 * The path of a request target in one form, however it was written, so that rules compare what services see. The result
 * of a path that is in this form already is that path.
 *
 * - The query is cut; of an absolute target (`http://host/path`) only the path is kept.
 * - Escapes of unreserved characters are decoded (`%61`), digits of all others are in upper case (`%2F`). What must not
 *   stand plain is escaped: control characters, blanks, characters beyond ASCII, a backslash, a `%` that begins no escape.
 *   So an encoded slash or backslash stays encoded.
 * - Parameters of segments are cut (`/admin;v=1` is `/admin`): many services route by what is left.
 * - Several slashes are one, and dot segments are resolved (RFC 3986, 5.2.4), however they were encoded.
 *
 * What services are known to read in different ways is a fault, which opens no door: a dot segment that has parameters
 * (`/..;/`), follows an empty segment (`//../`), or lies beside or goes back over an encoded slash or a backslash
 * (`/a%2F../`); a fragment (`/a#/../b`), which a request does not have (RFC 9112, 3.2); a NUL; bytes of overlong UTF-8
 * (`%C0%AE`), and bytes that are no UTF-8 at all and came without being escaped.
 */
export function normalisedPath(target: string): string | Fault {
  if (target.charCodeAt(0) !== slash) return slowly(target);
  const at = target.search(unusual);
  if (at < 0) return target;
  const code = target.charCodeAt(at);
  if (code === hash) return fragment;
  return code === question ? target.slice(0, at) : slowly(target);
}

function slowly(target: string): string | Fault {
  const [begun, path] = /^(?:[A-Za-z][A-Za-z0-9+.-]*:\/\/[^/?#]*)?([^?#]*)/.exec(target)! as unknown as [
    string,
    string,
  ];
  if (target.charCodeAt(begun.length) === hash) return fragment;
  if (path === "*") return path;
  const escaped = withEscapes(path);
  return escaped instanceof Fault ? escaped : withoutDots(escaped);
}

/** The path with escapes where they must be, and nowhere else. */
function withEscapes(path: string): string | Fault {
  let result = "";
  for (let i = 0; i < path.length; i++) {
    const code = path.charCodeAt(i);
    if (code === 0) return nul;
    // What a door read of bytes that are no UTF-8.
    if (code === 0xfffd) return overlong;
    if (code === 0x25) {
      const value = hexPair(path, i + 1);
      if (value < 0) {
        result += "%25";
        continue;
      }
      if (value === 0) return nul;
      if (value === 0xc0 || value === 0xc1) return overlong;
      const byte = path.slice(i, i + 3).toUpperCase();
      result += value < 128 && unreserved[value] === 1 ? String.fromCharCode(value) : byte;
      i += 2;
    } else if (code < 128) {
      if (plain[code] === 1 || code === 0x3b) result += path[i];
      else result += `%${code.toString(16).toUpperCase().padStart(2, "0")}`;
    } else {
      const character = String.fromCodePoint(path.codePointAt(i)!);
      if (character.length === 2) i++;
      result += encodeURIComponent(/\p{Surrogate}/u.test(character) ? "\ufffd" : character);
    }
  }
  return result;
}

/** The value of two hexadecimal digits, or -1. */
function hexPair(text: string, at: number): number {
  const digits = text.slice(at, at + 2);
  return /^[0-9A-Fa-f]{2}$/.test(digits) ? Number.parseInt(digits, 16) : -1;
}

function withoutDots(path: string): string | Fault {
  const segments = path.split("/");
  // What stands before the first slash is a segment only where a path does not begin with one.
  if (segments[0] === "") segments.shift();
  const kept: string[] = [];
  let endsOpen = true;
  let followsEmpty = false;
  for (const segment of segments) {
    const semicolon = segment.indexOf(";");
    const name = semicolon < 0 ? segment : segment.slice(0, semicolon);
    endsOpen = name === "" || isDots(name);
    if (isDots(name)) {
      if (semicolon >= 0 || (name === ".." && followsEmpty)) return dotSegment;
      if (name === ".." && hidesSlash(kept.pop() ?? "")) return dotSegment;
    } else if (name !== "") {
      if (hidesSlash(segment) && segment.split(/%2F|%5C/).some((part) => isDots(part.split(";", 1)[0]!))) {
        return dotSegment;
      }
      kept.push(name);
    }
    followsEmpty = name === "";
  }
  const joined = `/${kept.join("/")}`;
  return endsOpen && kept.length > 0 ? `${joined}/` : joined;
}

function isDots(name: string): boolean {
  return name === "." || name === "..";
}

function hidesSlash(segment: string): boolean {
  return segment.includes("%2F") || segment.includes("%5C");
}

/** Whether a path in its one form has an encoded slash or backslash. */
export function hasEncodedSlash(path: string): boolean {
  return path.includes("%") && hidesSlash(path);
}
