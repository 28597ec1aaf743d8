import { WeirError } from "../../util/weir-error.ts";

/**
 * What the configuration of a proxy says for all requests of one place: parameters of the address at which it asks.
 * Callers cannot reach that address; their own path and query come elsewhere.
 */
export interface Parameters {
  /** The headers of the request that the proxy takes over from the answer, in lower case. Left out: it does not say. */
  readonly copy?: ReadonlySet<string>;
  /** The same of the response to the caller. */
  readonly copyResponse?: ReadonlySet<string>;
  /** The header in which the proxy passes on the caller's certificate, in lower case. */
  readonly certificate?: string;
  /** Attributes by name, as text. */
  readonly attributes: ReadonlyMap<string, string>;
}

const none: Parameters = { attributes: new Map() };

/** How many texts of parameters are remembered: a proxy's configuration has one for each protected place. */
const maxRemembered = 256;

/** Makes a reader that remembers what it read, since the same few texts come with every request. */
export function parameterReader(separator: "&" | ";"): (text: string) => Parameters {
  const remembered = new Map<string, Parameters>();
  return (text) => {
    if (text === "") return none;
    const known = remembered.get(text);
    if (known !== undefined) return known;
    const parameters = readParameters(text, separator);
    if (remembered.size === maxRemembered) remembered.clear();
    remembered.set(text, parameters);
    return parameters;
  };
}

/**
 * Reads `copy=x-plan,x-user`, `copy-response=...`, `certificate=x-forwarded-client-cert`, and attributes by their
 * names, percent-encoded. Throws WEIR_REQUEST_MALFORMED for what is none of these: a mistake in the proxy's
 * configuration.
 */
function readParameters(text: string, separator: string): Parameters {
  const said = new Map<string, string>();
  for (const part of text.split(separator)) {
    if (part === "") continue;
    const equals = part.indexOf("=");
    const name = decoded(equals < 0 ? part : part.slice(0, equals));
    if (equals < 0 || said.has(name)) {
      throw malformed(equals < 0 ? `the parameter ${shown(name)} has no value` : `${shown(name)} came twice`);
    }
    said.set(name, decoded(part.slice(equals + 1)));
  }
  const copy = headerNames(said, "copy");
  const copyResponse = headerNames(said, "copy-response");
  const certificate = said.get("certificate")?.toLowerCase();
  for (const name of ["copy", "copy-response", "certificate"]) said.delete(name);
  const foreign = [...said.keys()].find((name) => !name.includes("."));
  if (foreign !== undefined) {
    throw malformed(
      `unknown parameter ${shown(foreign)}; there are copy, copy-response, certificate and names of attributes`,
    );
  }
  return {
    ...(copy !== undefined && { copy }),
    ...(copyResponse !== undefined && { copyResponse }),
    ...(certificate !== undefined && { certificate }),
    attributes: said,
  };
}

function headerNames(said: ReadonlyMap<string, string>, name: string): ReadonlySet<string> | undefined {
  const text = said.get(name);
  return text === undefined ? undefined : new Set(text.toLowerCase().split(",").filter(Boolean));
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw malformed(`${shown(text)} is not percent-encoded text`);
  }
}

function malformed(message: string): WeirError {
  return new WeirError("WEIR_REQUEST_MALFORMED", `parameters of the address: ${message}`);
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 60));
}
