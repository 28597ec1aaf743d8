import { status, type ServiceError } from "@grpc/grpc-js";
import { create, createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, FileDescriptorSetSchema, type FileDescriptorProto } from "@bufbuild/protobuf/wkt";
import test, { type ExecutionContext } from "ava";
import {
  HealthCheckRequest,
  HealthCheckResponse,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "../../../src/wire/gen/grpc/health/v1/health.ts";
import {
  ServerReflectionRequest,
  ServerReflectionResponse,
} from "../../../src/wire/gen/grpc/reflection/v1/reflection.ts";
import { call, collect, door, serve, stream } from "./harness.ts";

const doors = [door({ unary: { "/istio.mixer.v1.Mixer/Check": (m) => m }, duplex: {} })];
const healthPath = "/grpc.health.v1.Health/Check";

for (const service of ["", "istio.mixer.v1.Mixer", "grpc.health.v1.Health"]) {
  test(`health of ${JSON.stringify(service)} is SERVING`, async (t) => {
    const { client } = await serve(t, doors);
    const answer = await call(client, healthPath, HealthCheckRequest.encode({ service }).finish());
    t.is(HealthCheckResponse.decode(answer).status, ServingStatus.SERVING);
  });
}

test("health of an unknown service is NOT_FOUND, and SERVICE_UNKNOWN to who watches it", async (t) => {
  const { client } = await serve(t, doors);
  const message = HealthCheckRequest.encode({ service: "no.Such" }).finish();
  const error = (await t.throwsAsync(call(client, healthPath, message))) as ServiceError;
  t.is(error.code, status.NOT_FOUND);
  const watch = stream(client, "/grpc.health.v1.Health/Watch");
  watch.write(message);
  const first = await new Promise<Buffer>((resolve) => watch.once("data", resolve));
  t.is(HealthCheckResponse.decode(first).status, ServingStatus.SERVICE_UNKNOWN);
  watch.on("error", () => {});
  watch.cancel();
});

test("a health request that is none is refused, and is no fault of the hub's", async (t) => {
  const { client, log } = await serve(t, doors);
  const error = (await t.throwsAsync(call(client, healthPath, Buffer.from("ffff", "hex")))) as ServiceError;
  t.is(error.code, status.INVALID_ARGUMENT);
  const silent = stream(client, "/grpc.health.v1.Health/Watch");
  silent.end();
  t.is((await collect(silent)).code, status.INVALID_ARGUMENT);
  const reflection = stream(client, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo");
  reflection.end(Buffer.from("ffff", "hex"));
  t.is((await collect(reflection)).code, status.INVALID_ARGUMENT);
  t.deepEqual(log.lines, []);
});

async function reflect(
  t: ExecutionContext,
  version: string,
  questions: readonly Partial<ServerReflectionRequest>[],
): Promise<ServerReflectionResponse[]> {
  const { client } = await serve(t, doors);
  const duplex = stream(client, `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`);
  for (const question of questions) {
    duplex.write(ServerReflectionRequest.encode(ServerReflectionRequest.fromPartial(question)).finish());
  }
  duplex.end();
  const { messages, code } = await collect(duplex);
  t.is(code, status.OK);
  return messages.map((message) => ServerReflectionResponse.decode(message));
}

function filesOf(response: ServerReflectionResponse): FileDescriptorProto[] {
  return response.fileDescriptorResponse!.fileDescriptorProto.map((bytes) =>
    fromBinary(FileDescriptorProtoSchema, bytes),
  );
}

/** Each file behind those it imports, as the registry wants them. */
function importsFirst(files: readonly FileDescriptorProto[]): FileDescriptorProto[] {
  const ordered = new Set<FileDescriptorProto>();
  const add = (file: FileDescriptorProto) => {
    for (const name of file.dependency) add(files.find((imported) => imported.name === name)!);
    ordered.add(file);
  };
  files.forEach(add);
  return [...ordered];
}

for (const version of ["v1", "v1alpha"]) {
  test(`reflection ${version} lists the services and describes each of them whole`, async (t) => {
    const [list] = await reflect(t, version, [{ listServices: "*", host: "h" }]);
    t.is(list!.validHost, "h");
    t.is(list!.originalRequest!.listServices, "*");
    const services = list!.listServicesResponse!.service.map(({ name }) => name);
    t.deepEqual(services, [
      "grpc.health.v1.Health",
      "grpc.reflection.v1.ServerReflection",
      "grpc.reflection.v1alpha.ServerReflection",
      "istio.mixer.v1.Mixer",
    ]);
    const answers = await reflect(
      t,
      version,
      services.map((name) => ({ fileContainingSymbol: name })),
    );
    for (const [i, answer] of answers.entries()) {
      // The registry refuses a file whose imports are not there: the answer must bring all of them.
      const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: importsFirst(filesOf(answer)) }));
      t.truthy(registry.getService(services[i]!), services[i]);
    }
  });
}

test("reflection finds files by name, and by every kind of symbol", async (t) => {
  const symbols = [
    "weir.v1.Weir",
    "weir.v1.Weir.Check",
    "weir.v1.CheckRequest",
    "weir.v1.CheckRequest.index",
    "weir.v1.Reference.Condition",
    "weir.v1.Reference.WHOLE",
    "weir.v1.VERDICT_ALLOWED",
  ];
  const [byName, ...bySymbol] = await reflect(t, "v1", [
    { fileByFilename: "weir/v1/weir.proto" },
    ...symbols.map((fileContainingSymbol) => ({ fileContainingSymbol })),
  ]);
  t.is(filesOf(byName!)[0]!.name, "weir/v1/weir.proto");
  for (const [i, answer] of bySymbol.entries()) t.is(filesOf(answer)[0]!.name, "weir/v1/weir.proto", symbols[i]);
});

test("reflection says what it does not have", async (t) => {
  const answers = await reflect(t, "v1", [
    { fileByFilename: "../../etc/passwd" },
    { fileContainingSymbol: "no.Such" },
    { fileContainingExtension: { containingType: "weir.v1.CheckRequest", extensionNumber: 1 } },
    { allExtensionNumbersOfType: "no.Such" },
    { allExtensionNumbersOfType: "weir.v1.CheckRequest" },
    {},
  ]);
  t.deepEqual(
    answers.map(({ errorResponse, allExtensionNumbersResponse }) =>
      errorResponse === undefined ? allExtensionNumbersResponse : errorResponse.errorCode,
    ),
    [5, 5, 5, 5, { baseTypeName: "weir.v1.CheckRequest", extensionNumber: [] }, 3],
  );
});
