/**
 * Whether a content type, as a proxy tells it, is that of gRPC: `application/grpc`, perhaps with the name of the
 * messages' format. gRPC-Web (`application/grpc-web`) is another protocol.
 */
export function isGrpcType(contentType: string): boolean {
  return /^application\/grpc(?:[+; \t]|$)/i.test(contentType);
}
