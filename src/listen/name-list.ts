/**
 * A test of names against a list of names and of beginnings followed by `*`: `["source.*", "request.path"]`. Without a
 * list every name passes.
 */
export function nameList(names: readonly string[] | undefined): (name: string) => boolean {
  if (names === undefined) return () => true;
  const exact = new Set(names.filter((name) => !name.endsWith("*")));
  const beginnings = names.filter((name) => name.endsWith("*")).map((name) => name.slice(0, -1));
  return (name) => exact.has(name) || beginnings.some((beginning) => name.startsWith(beginning));
}
