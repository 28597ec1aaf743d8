import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
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

interface TraefikFile {
  readonly http: {
    readonly middlewares: {
      readonly weir: {
        readonly forwardAuth: {
          readonly address: string;
          readonly authResponseHeaders: readonly string[];
          readonly trustForwardHeader: boolean;
          readonly preserveLocationHeader: boolean;
        };
      };
    };
  };
}

/** The dynamic configuration of Traefik. */
export function traefikOfDocs(): TraefikFile {
  return parse(blocksOfDocs("yaml").find((block) => block.startsWith("http:"))!) as TraefikFile;
}

/** The ext_authz filter of Envoy that asks over HTTP. */
export function envoyFilterOfDocs(): Readonly<Record<string, unknown>> {
  return parse(blocksOfDocs("yaml").find((block) => block.startsWith("name: envoy"))!) as Record<string, unknown>;
}
