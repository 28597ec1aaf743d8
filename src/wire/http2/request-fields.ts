import type { Fields } from "./header-decoder.ts";

/** The head of a request that keeps to RFC 9113, 8.2 and 8.3. */
export interface RequestFields {
  readonly method: string;
  readonly scheme: string;
  readonly authority: string;
  readonly path: string;
  /** What `content-length` says; -1 when it says nothing. */
  readonly contentLength: number;
  /** The other fields: name and value by turns. */
  readonly list: readonly string[];
  /** Whether fields are missing because there were too many of them. */
  readonly tooLarge: boolean;
}

const nameForm = /^[!-9;-@[-~]+$/;
/** What no value holds: NUL, CR, LF; and it neither begins nor ends with a space or a tab (RFC 9113, 8.2.1). */
// oxlint-disable-next-line no-control-regex
const badValue = /[\0\r\n]|^[ \t]|[ \t]$/;
/** Fields that speak of an HTTP/1 connection (RFC 9113, 8.2.2). */
const ofConnections = new Set(["connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade"]);
const pseudoNames = [":method", ":scheme", ":authority", ":path"];

/** The head of a request; `undefined` when it is malformed (RFC 9113, 8.1.1). */
export function readRequest({ list, tooLarge }: Fields): RequestFields | undefined {
  const pseudo: (string | undefined)[] = [undefined, undefined, undefined, undefined];
  let at = 0;
  for (; at < list.length && list[at]!.startsWith(":"); at += 2) {
    const which = pseudoNames.indexOf(list[at]!);
    if (which < 0 || pseudo[which] !== undefined || badValue.test(list[at + 1]!)) return undefined;
    pseudo[which] = list[at + 1]!;
  }
  const [method, scheme, authority = "", path] = pseudo;
  const regular = list.slice(at);
  if (!areRegular(regular)) return undefined;
  const contentLength = contentLengthOf(regular);
  if (contentLength === undefined) return undefined;
  // What was thrown away may have held what is missing here.
  if (!tooLarge && (method === undefined || scheme === undefined || !path)) return undefined;
  return {
    method: method ?? "",
    scheme: scheme ?? "",
    authority,
    path: path ?? "",
    contentLength,
    list: regular,
    tooLarge,
  };
}

/** Whether trailers are well formed: regular fields and nothing else. */
export function areTrailers({ list }: Fields): boolean {
  return areRegular(list);
}

function areRegular(list: readonly string[]): boolean {
  for (let at = 0; at < list.length; at += 2) {
    const name = list[at]!;
    const value = list[at + 1]!;
    if (!nameForm.test(name) || badValue.test(value) || ofConnections.has(name)) return false;
    if (name === "te" && value !== "trailers") return false;
  }
  return true;
}

/** -1 when there is none; `undefined` when it is no number or differs from another. */
function contentLengthOf(list: readonly string[]): number | undefined {
  let length = -1;
  for (let at = 0; at < list.length; at += 2) {
    if (list[at] !== "content-length") continue;
    const text = list[at + 1]!;
    if (!/^\d{1,15}$/.test(text) || (length >= 0 && Number(text) !== length)) return undefined;
    length = Number(text);
  }
  return length;
}
