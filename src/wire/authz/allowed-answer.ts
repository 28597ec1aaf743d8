import type { Decision, HeaderOperation } from "../../runtime/decision.ts";
import type { HttpAnswer } from "../http/route.ts";
import type { Dialect } from "./dialect.ts";
import { changed, headerChanges, type HeaderChange } from "../header-changes.ts";
import { headerText } from "./header-text.ts";
import type { OriginalRequest } from "./original-request.ts";
import type { Parameters } from "./parameters.ts";

/** What an answer is made from. */
export interface Allowed {
  readonly decision: Decision;
  readonly request: OriginalRequest;
  readonly parameters: Parameters;
  /** Header changes of the response to the caller: those of rules, and those that tell of limits. */
  readonly response: readonly HeaderOperation[];
  /** Told of each header that the proxy cannot take over, and of each whose value must not be written. */
  dropped(reason: "not_carried" | "bad_value"): void;
}

/** The answer that lets a request pass, with the header changes in the way that a proxy takes them over. */
export function allowedAnswer({ name: dialect }: Dialect, allowed: Allowed): HttpAnswer {
  const headers: Record<string, string | string[]> = { "x-weir-decision": allowed.decision.id };
  const request = headerChanges(allowed.decision.requestHeaders);
  const response = headerChanges(allowed.response);
  if (dialect === "nginx") {
    copyRequest(headers, "x-weir-request-", request, allowed);
    copyNginxResponse(headers, response, allowed);
  } else if (dialect === "envoy") {
    copyEnvoy(headers, request, response, allowed);
  } else {
    copyRequest(headers, "", request, allowed);
    for (const _ of response) allowed.dropped("not_carried");
  }
  return { status: 200, headers, body: "" };
}

/**
 * The headers that the proxy takes over, each as the service is to get it, changed or not: these proxies drop or keep
 * what the caller sent by rules of their own when the answer does not have the header.
 */
function copyRequest(
  headers: Record<string, string | string[]>,
  prefix: string,
  changes: ReadonlyMap<string, HeaderChange>,
  { request, parameters: { copy }, dropped }: Allowed,
): void {
  const write = (name: string, change: HeaderChange | undefined): void => {
    const before = request.headers.get(name);
    if (change === undefined) {
      if (before !== undefined) headers[prefix + name] = before;
      return;
    }
    const values = change.values.map(headerText);
    if (values.includes(undefined)) return dropped("bad_value");
    const value = changed(name, before, { ...change, values: values as string[] });
    if (value !== undefined) headers[prefix + name] = value;
  };
  if (copy !== undefined) {
    for (const name of copy) write(name, changes.get(name));
    for (const name of changes.keys()) if (!copy.has(name)) dropped("not_carried");
    return;
  }
  for (const [name, change] of changes) {
    if (prefix === "" && change.values.length > 0) write(name, change);
    else dropped("not_carried");
  }
}

/** nginx cannot know what the service will answer: `=value` replaces the header there, `+value` adds one. */
function copyNginxResponse(
  headers: Record<string, string | string[]>,
  changes: ReadonlyMap<string, HeaderChange>,
  { parameters: { copyResponse }, dropped }: Allowed,
): void {
  for (const [name, { replaces, values }] of changes) {
    const texts = values.map(headerText);
    // A cookie has a line of its own (RFC 6265, 3), and nginx a variable for one.
    if (copyResponse?.has(name) !== true || (name === "set-cookie" && texts.length > 1)) dropped("not_carried");
    else if (texts.includes(undefined)) dropped("bad_value");
    else headers[`x-weir-response-${name}`] = `${replaces ? "=" : "+"}${texts.join(", ")}`;
  }
}

/**
 * Envoy sets or adds what its `allowed_upstream_headers`, `allowed_upstream_headers_to_append` and
 * `allowed_client_headers_on_success` name, and removes what a header of its own names. It cannot remove a header of
 * the response.
 */
function copyEnvoy(
  headers: Record<string, string | string[]>,
  request: ReadonlyMap<string, HeaderChange>,
  response: ReadonlyMap<string, HeaderChange>,
  { dropped }: Allowed,
): void {
  const removed: string[] = [];
  const write = (name: string, values: readonly string[]): boolean => {
    const texts = values.map(headerText);
    if (texts.includes(undefined)) {
      dropped("bad_value");
      return false;
    }
    headers[name] = texts as string[];
    return true;
  };
  for (const [name, { values }] of request) {
    if (values.length === 0 || !write(name, values)) removed.push(name);
  }
  for (const [name, { values }] of response) {
    if (values.length === 0 || request.has(name)) dropped("not_carried");
    else write(name, values);
  }
  if (removed.length > 0) headers["x-envoy-auth-headers-to-remove"] = removed.join(",");
}
