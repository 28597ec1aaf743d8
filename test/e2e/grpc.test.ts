import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createFileRegistry, fromBinary, create, toBinary, type DescFile, type Registry } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import test from "ava";
import type { Client } from "@grpc/grpc-js";
import { HealthCheckRequest, HealthCheckResponse } from "../../src/wire/gen/grpc/health/v1/health.ts";
import { ServerReflectionRequest, ServerReflectionResponse } from "../../src/wire/gen/grpc/reflection/v1/reflection.ts";
import { connect, hubFor, post, stream, unary } from "./clients.ts";
import { startHub, type Hub } from "./hub.ts";

const deny = `
policy: acl
match: destination.service.name == "acl"
check:
  - name: closed
    deny: permission_denied
    message: closed
`;

let hub: Hub;
let client: Client;

test.before(async () => {
  hub = await startHub({ "policies/acl.yaml": deny });
  client = connect(hub.grpc);
});

test.after.always(() => {
  client?.close();
  hub?.dispose();
});

const services = [
  "envoy.service.accesslog.v3.AccessLogService",
  "envoy.service.auth.v3.Authorization",
  "envoy.service.rate_limit_quota.v3.RateLimitQuotaService",
  "envoy.service.ratelimit.v3.RateLimitService",
  "grpc.health.v1.Health",
  "grpc.reflection.v1.ServerReflection",
  "grpc.reflection.v1alpha.ServerReflection",
  "istio.mixer.v1.Mixer",
  "weir.v1.Weir",
];

const serving = 1;
const notServing = 2;
const unknownService = 3;

const asked = (service: string): Uint8Array => HealthCheckRequest.encode({ service }).finish();

async function health(to: Client, service: string): Promise<number> {
  const { code, bytes } = await unary(to, "/grpc.health.v1.Health/Check", asked(service));
  return code === 0 ? HealthCheckResponse.decode(bytes).status : -code;
}

test("the server and each of its services are healthy, others are not known", async (t) => {
  t.is(await health(client, ""), serving);
  for (const service of ["weir.v1.Weir", "istio.mixer.v1.Mixer"]) t.is(await health(client, service), serving);
  t.is(await health(client, "weir.v2.Weir"), -5);
});

test("health turns NOT_SERVING while the hub drains: for those who ask, who watch, and at the admin port", async (t) => {
  const own = await hubFor(t, {
    "weir.yaml":
      "policies: ./policies\ncheck: { adapterTimeout: 60s }\nadapters: { waiting: { adapter: ./waiting.mjs } }\n",
    "policies/slow.yaml": "policy: slow\ncheck:\n  - name: ask\n    ask: waiting\n    with: { gate: request.path }\n",
    "waiting.mjs": `
      import { existsSync } from "node:fs";
      const any = { "~standard": { version: 1, vendor: "test", validate: (value) => ({ value }) } };
      export default {
        name: "waiting", provides: ["check"], input: { gate: "string" }, config: any,
        create: (config, host) => ({
          check: ({ gate }) => new Promise((resolve) => {
            host.log.info({}, "waits");
            const look = setInterval(() => { if (existsSync(gate)) { clearInterval(look); resolve({ allow: true }); } }, 5);
          }),
        }),
      };`,
  });
  const to = connect(own.grpc);
  t.teardown(() => to.close());
  const watch = stream(to, "/grpc.health.v1.Health/Watch", HealthCheckResponse);
  watch.send(asked("weir.v1.Weir"));
  watch.halfClose();
  t.is((await watch.next()).status, serving);
  const odd = stream(to, "/grpc.health.v1.Health/Watch", HealthCheckResponse);
  odd.send(asked("weir.v2.Weir"));
  odd.halfClose();
  t.is((await odd.next()).status, unknownService);

  const gate = join(own.folder, "gate");
  const slow = post(own, "/v1/check", { attributes: { "request.path": gate } });
  await own.saw("waits");
  own.process.kill("SIGTERM");
  t.is((await watch.next()).status, notServing);
  const ready = await fetch(`http://${own.admin}/readyz`);
  t.is(ready.status, 503);
  t.regex(await ready.text(), /the hub is stopping/);
  await writeFile(gate, "");
  t.true((await slow).json.allowed);
  await watch.status;
  t.deepEqual(await own.exit, { code: 0, signal: null });
});

for (const version of ["v1", "v1alpha"]) {
  const path = `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`;
  const open = () => stream(client, path, ServerReflectionResponse);
  const ask = (request: Partial<ServerReflectionRequest>): Uint8Array =>
    ServerReflectionRequest.encode(ServerReflectionRequest.fromPartial({ host: "", ...request })).finish();

  test(`reflection ${version} lists the services`, async (t) => {
    const { send, next, halfClose, status } = open();
    send(ask({ listServices: "" }));
    t.deepEqual(
      (await next()).listServicesResponse!.service.map(({ name }) => name),
      services,
    );
    send(ask({ fileContainingSymbol: "weir.v2.Weir" }));
    t.is((await next()).errorResponse!.errorCode, 5);
    halfClose();
    t.is((await status).code, 0);
  });

  test(`a client is built from nothing but what reflection ${version} tells`, async (t) => {
    const { send, next, halfClose } = open();
    const told = async (service: string): Promise<Registry> => {
      send(ask({ fileContainingSymbol: service }));
      const { fileDescriptorProto } = (await next()).fileDescriptorResponse!;
      const file = fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
      return createFileRegistry(create(FileDescriptorSetSchema, { file: inOrder(file) }));
    };
    for (const service of services) {
      const found = (await told(service)).getService(service);
      t.true(found !== undefined && found.methods.length > 0, service);
    }
    const registry = await told("istio.mixer.v1.Mixer");
    const { input, output } = registry.getService("istio.mixer.v1.Mixer")!.method["check"]!;
    const message = toBinary(
      input,
      create(input, { attributes: { words: ["acl"], strings: { 191: -1 } }, globalWordCount: 222 }),
    );
    const { code, bytes } = await unary(client, "/istio.mixer.v1.Mixer/Check", message);
    t.is(code, 0);
    const answer = fromBinary(output, bytes) as unknown as { precondition: { status: object } };
    t.like(answer.precondition.status, { code: 7, message: "closed" });
    halfClose();
  });
}

/** Files so that each comes after those it imports. */
function inOrder<T extends Pick<DescFile["proto"], "name" | "dependency">>(files: readonly T[]): T[] {
  const left = new Map(files.map((file) => [file.name, file]));
  const ordered: T[] = [];
  const take = (name: string): void => {
    const file = left.get(name);
    if (file === undefined) return;
    left.delete(name);
    for (const imported of file.dependency) take(imported);
    ordered.push(file);
  };
  for (const { name } of files) take(name);
  return ordered;
}

test("a method that is not there is UNIMPLEMENTED", async (t) => {
  for (const path of ["/weir.v1.Weir/Chek", "/istio.mixer.v1.Mixer/Quota", "/nothing.at.All/Here"]) {
    t.is((await unary(client, path, new Uint8Array())).code, 12, path);
  }
});
