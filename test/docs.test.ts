import { existsSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";
import { parse } from "yaml";
import type { Dashboard } from "./cases/dashboards/grafana.ts";
import { errorCodes } from "../src/util/error-codes.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const read = (file: string) => readFileSync(join(root, file), "utf8");

/** The rows of a page's tables whose first cell is code: cells without their backticks. */
function rows(page: string): string[][] {
  return read(page)
    .split("\n")
    .filter((line) => line.startsWith("| `"))
    .map((line) =>
      line
        .slice(1, -1)
        .split(/(?<!\\)\|/)
        .map((cell) => cell.trim().replace(/^`(.*)`$/, "$1")),
    );
}

test("docs/errors.md explains every error code and no other", (t) => {
  const documented = rows("docs/errors.md").map(([code, summary, grpc, http, retry]) => ({
    code,
    summary,
    grpc: Number(grpc),
    http: Number(http),
    retry: retry === "yes",
  }));
  const table = Object.entries(errorCodes).map(([code, entry]) => ({ code, ...entry }));
  t.deepEqual(documented, table);
});

test("every error code is used somewhere", (t) => {
  const sources = ["src", "adapters"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".ts") && !file.endsWith("error-codes.ts"))
      .map((file) => read(join(folder, file))),
  );
  const unused = Object.keys(errorCodes).filter((code) => !sources.some((text) => text.includes(code)));
  t.deepEqual(unused, []);
});

const pages = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"].concat(
  readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".md"))
    .map((file) => `docs/${file}`),
  readdirSync(join(root, "adapters"), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".md"))
    .map((file) => `adapters/${file}`),
  ["src/expression/README.md"],
);

for (const page of pages) {
  test(`${page}: links lead somewhere`, (t) => {
    const broken = [...read(page).matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)[^)]*\)/g)]
      .map((m) => m[1]!)
      .filter((target) => !existsSync(join(root, dirname(page), target)));
    t.deepEqual(broken, []);
  });
}

test("pages name commands and paths that there are", (t) => {
  const commands = [...read("src/main.ts").matchAll(/^ {2}(\w+): (?:async )?\(/gm)].map((m) => m[1]!);
  t.true(commands.includes("serve") && commands.length >= 7, "src/main.ts lists its commands in another way now");
  const served = [
    "src/console/pages.ts",
    ...readdirSync(join(root, "src/wire/http")).map((file) => `src/wire/http/${file}`),
  ]
    .map(read)
    .join("\n");
  const unknown = pages.flatMap((page) => {
    const text = read(page);
    const called = [...text.matchAll(/(?:npx |^\$ |`)weir ([a-z]+)/gm)].map((m) => m[1]!);
    const asked = [...text.matchAll(/\b(?:GET|POST|HEAD) (\/[\w./-]*)/g)].map((m) => m[1]!);
    return [
      ...called.filter((name) => !commands.includes(name)),
      ...asked.filter((path) => !served.includes(`"${path}"`)),
    ].map((name) => `${page}: ${name}`);
  });
  t.deepEqual(unknown, []);
});

test("README.md leads to every page of docs", (t) => {
  const readme = read("README.md");
  t.deepEqual(
    readdirSync(join(root, "docs")).filter((file) => file.endsWith(".md") && !readme.includes(`(docs/${file})`)),
    [],
  );
});

test("package.json: every dependency is used by what it is for, and its choice is explained", (t) => {
  const { dependencies, devDependencies } = JSON.parse(read("package.json")) as Record<string, Record<string, string>>;
  const texts = (folders: readonly string[]): string[] =>
    folders.flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
        .filter((file) => file.endsWith(".ts"))
        .map((file) => join(folder, file)),
    );
  const imported = (files: readonly string[], name: string): boolean =>
    files.some((file) => new RegExp(`from "${name}[/"]`).test(read(file)));
  const production = texts(["src", "adapters"]).filter((file) => !file.endsWith(".test.ts"));
  const unused = Object.keys(dependencies!).filter((name) => !imported(production, name));
  const needed = Object.keys(devDependencies!).filter((name) => imported(production, name));
  t.deepEqual([unused, needed], [[], []]);
  const choices = read("CONTRIBUTING.md").split("## Choice of libraries")[1]!;
  const unexplained = Object.keys({ ...dependencies, ...devDependencies }).filter((name) => !choices.includes(name));
  t.deepEqual(unexplained, []);
});

test("ARCHITECTURE.md names every room of src and nothing that is not there", (t) => {
  const named = [...read("ARCHITECTURE.md").matchAll(/^\| `(src\/[^`]+|adapters\/[^`]*)`\s+\|/gm)].map((m) => m[1]!);
  const there = readdirSync(join(root, "src")).map((name) => (name.endsWith(".ts") ? `src/${name}` : `src/${name}/`));
  t.deepEqual(named.filter((name) => name.startsWith("src/")).sort(), there.sort());
});

test("every adapter has a README", (t) => {
  const folders = readdirSync(join(root, "adapters"), { withFileTypes: true }).filter((entry) => entry.isDirectory());
  t.deepEqual(
    folders.filter(({ name }) => !existsSync(join(root, "adapters", name, "README.md"))).map(({ name }) => name),
    [],
  );
});

test("package.json: every script that a page tells to run is there", (t) => {
  const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
  const told = new Set(pages.flatMap((page) => [...read(page).matchAll(/\bnpm run ([\w:-]+)/g)].map((m) => m[1]!)));
  t.deepEqual(
    [...told].filter((name) => scripts[name] === undefined),
    [],
  );
});

test("docker-compose.yml parses and names files and ports that are there", (t) => {
  const compose = parse(read("docker-compose.yml")) as {
    services: Record<
      string,
      { build?: { context: string; dockerfile?: string }; ports?: string[]; volumes?: string[] }
    >;
    configs?: Record<string, { content?: string; file?: string }>;
  };
  t.deepEqual(Object.keys(compose.services).sort(), [
    "envoy",
    "envoy-config",
    "grafana",
    "jaeger",
    "nats",
    "prometheus",
    "redis",
    "shop",
    "weir",
  ]);
  const { weir, prometheus } = compose.services;
  t.true(existsSync(join(root, weir!.build!.context, weir!.build!.dockerfile ?? "Dockerfile")));
  const paths = Object.values(compose.services).flatMap(({ volumes = [] }) => volumes.map((v) => v.split(":")[0]!));
  t.deepEqual(
    paths.filter((path) => path.startsWith(".") && !existsSync(join(root, path))),
    [],
  );
  t.deepEqual(
    weir!.ports!.map((port) => Number(port.split(":").at(-1))),
    [9091, 9092, 9093],
  );
  t.truthy(prometheus);
  const scrape = parse(compose.configs!["prometheus"]!.content!) as {
    scrape_configs: { static_configs: { targets: string[] }[] }[];
  };
  t.deepEqual(scrape.scrape_configs[0]!.static_configs[0]!.targets, ["weir:9093"]);
});

test("docker-compose.yml gives Grafana the Prometheus and the folder of dashboards", (t) => {
  const compose = parse(read("docker-compose.yml")) as {
    services: Record<string, { volumes?: string[]; configs?: { source: string }[]; ports?: string[] }>;
    configs: Record<string, { content: string }>;
  };
  const content = (name: string) => parse(compose.configs[name]!.content) as unknown;
  const { grafana } = compose.services;
  t.deepEqual(
    grafana!.configs!.map(({ source }) => source),
    ["grafana-datasources", "grafana-dashboards"],
  );
  t.like(content("grafana-datasources"), { datasources: [{ type: "prometheus", url: "http://prometheus:9090" }] });
  const { providers } = content("grafana-dashboards") as { providers: { options: { path: string } }[] };
  t.deepEqual(grafana!.volumes, [`./docs/dashboards:${providers[0]!.options.path}:ro`]);
});

test("each dashboard has a title and an identifier of its own, and its panels ask the data source that is chosen", (t) => {
  const dashboards = readdirSync(join(root, "docs/dashboards"))
    .filter((file) => file.endsWith(".json"))
    .map((file) => JSON.parse(read(`docs/dashboards/${file}`)) as Dashboard);
  t.deepEqual(
    dashboards.map(({ title, uid }) => ({ title, uid })),
    [
      { title: "Weir: hub", uid: "weir-hub" },
      { title: "Weir: mesh", uid: "weir-mesh" },
    ],
  );
  for (const { title, panels, templating } of dashboards) {
    t.is(templating.list[0]!.name, "datasource");
    t.is(new Set(panels.map((panel) => panel.title)).size, panels.length, title);
    for (const { title: panel, targets, datasource } of panels)
      if (targets !== undefined) t.is(datasource?.uid, "${datasource}", panel);
  }
});

test("Dockerfile copies files that are there, and opens the three listeners", (t) => {
  const lines = read("Dockerfile").split("\n");
  const copied = lines
    .filter((line) => line.startsWith("COPY ") && !line.includes("--from="))
    .flatMap((line) => line.split(/\s+/).slice(1, -1));
  t.true(copied.length > 0);
  t.deepEqual(
    copied.filter((path) => !existsSync(join(root, path))),
    [],
  );
  t.deepEqual(
    lines.filter((line) => line.startsWith("EXPOSE")),
    ["EXPOSE 9091 9092 9093"],
  );
});
