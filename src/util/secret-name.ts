const pattern =
  /pass(word|wd|phrase)?$|secret|token|credential|(api|private|shared)[_-]?key|auth(orization)?$|cookie|jwt|bearer|signature|(csrf|xsrf|session([_-]?id)?|(^|[_-])(sig|sid|otp|pin))$/i;

/** Whether what bears this name (a header, a key of a configuration) is likely to be a secret. */
export function isSecretName(name: string): boolean {
  return pattern.test(name);
}

/** What is shown in place of a secret. */
export const maskedText = "***";

/** What a text holds that names such a parameter, at the least: the words wherever they stand, or an escape that may hide one. */
const hint = new RegExp(`${pattern.source.replaceAll("$", "").replaceAll("(^|[_-])", "")}|%`, "i");

/** A parameter of a query: its name and its value. */
const parameter = /([?&;])([^=&;#?\s]+)=([^&;#\s]+)/g;

/**
 * A text, such as a path, with the values of parameters masked whose names, as a server decodes them, are likely to be
 * those of secrets.
 *
 * @param reveal names, in lower case, that are shown whatever they are called
 */
export function maskedQuery(text: string, reveal: ReadonlySet<string>): string {
  // Most hold none, and going through parameters takes ten times as long.
  if (!text.includes("?") || !hint.test(text)) return text;
  return text.replaceAll(parameter, (whole, mark: string, name: string) => {
    const decoded = decodedName(name);
    return isSecretName(decoded) && !reveal.has(decoded.toLowerCase()) ? `${mark}${name}=${maskedText}` : whole;
  });
}

/** Each escape by itself: one that is none must not keep the others as they are. */
function decodedName(name: string): string {
  return name.replaceAll(/%([0-7][0-9a-f])/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
