import { WeirError } from "../util/weir-error.ts";
import type { Duplex, GrpcDoor } from "./call.ts";
import { protoFiles, type ProtoFile } from "./gen/descriptors.ts";
import { ServerReflectionRequest, ServerReflectionResponse } from "./gen/grpc/reflection/v1/reflection.ts";

const packages = ["grpc.reflection.v1", "grpc.reflection.v1alpha"];

/**
 * Server reflection for `services`, in its version 1 and its older one, which differ in nothing but the name. Files come
 * with everything they import, directly or not. The services have no extensions, so questions for those find none.
 */
export function createReflection(services: Iterable<string>): readonly GrpcDoor[] {
  const names = [...services, ...packages.map((name) => `${name}.ServerReflection`)];
  const listed = [...new Set(names)].sort().map((name) => ({ name }));
  const files = new Map(protoFiles.map((file) => [file.name, file]));
  const declaring = new Map(protoFiles.flatMap((file) => file.symbols.map((symbol) => [symbol, file])));

  const answer = (request: ServerReflectionRequest): Partial<ServerReflectionResponse> => {
    if (request.listServices !== undefined) return { listServicesResponse: { service: listed } };
    if (request.fileByFilename !== undefined) return fileAnswer(files.get(request.fileByFilename), files);
    if (request.fileContainingSymbol !== undefined)
      return fileAnswer(declaring.get(request.fileContainingSymbol), files);
    if (request.allExtensionNumbersOfType !== undefined && declaring.has(request.allExtensionNumbersOfType)) {
      const baseTypeName = request.allExtensionNumbersOfType;
      return { allExtensionNumbersResponse: { baseTypeName, extensionNumber: [] } };
    }
    if (request.fileContainingExtension !== undefined || request.allExtensionNumbersOfType !== undefined)
      return notFound;
    return { errorResponse: { errorCode: 3, errorMessage: "nothing was asked" } };
  };

  const info: Duplex = (out) => {
    let resume: (() => void) | undefined;
    return {
      message(message) {
        const originalRequest = decode(message);
        const response = { validHost: originalRequest.host, originalRequest, ...answer(originalRequest) };
        if (out.send(ServerReflectionResponse.encode(ServerReflectionResponse.fromPartial(response)).finish())) return;
        return new Promise((resolve) => (resume = resolve));
      },
      end: () => out.end(),
      drained: () => resume?.(),
      gone: () => resume?.(),
    };
  };

  return packages.map((name) => ({
    name: "reflection",
    unary: new Map(),
    duplex: new Map([[`/${name}.ServerReflection/ServerReflectionInfo`, info]]),
  }));
}

const notFound: Partial<ServerReflectionResponse> = { errorResponse: { errorCode: 5, errorMessage: "not found" } };

/** A file and all it imports, each once, the file itself first. */
function fileAnswer(
  file: ProtoFile | undefined,
  files: ReadonlyMap<string, ProtoFile>,
): Partial<ServerReflectionResponse> {
  if (file === undefined) return notFound;
  const wanted = new Set([file]);
  for (const { imports } of wanted) for (const name of imports) wanted.add(files.get(name)!);
  const fileDescriptorProto = [...wanted].map(({ base64 }) => Buffer.from(base64, "base64"));
  return { fileDescriptorResponse: { fileDescriptorProto } };
}

function decode(message: Uint8Array): ServerReflectionRequest {
  try {
    return ServerReflectionRequest.decode(message);
  } catch {
    throw new WeirError("WEIR_REQUEST_MALFORMED", "not a ServerReflectionRequest");
  }
}
