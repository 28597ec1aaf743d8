import { readFileSync } from "node:fs";
import { join } from "node:path";
import { projectRoot } from "./hub.ts";

/** The blocks of one language in docs/doors/authz.md, so that what operators paste is what tests run. */
function blocksOfDocs(language: string): readonly string[] {
  const page = readFileSync(join(projectRoot, "docs/doors/authz.md"), "utf8");
  return [...page.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, "gms"))].map((match) => match[1]!);
}

/** The Caddyfile of the page. */
export function caddyfileOfDocs(): string {
  return blocksOfDocs("caddyfile")[0]!;
}
