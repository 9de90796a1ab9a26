const GRPC = 'application/grpc';
const CONNECT = 'application/connect';

/** `application/grpc`, alone or with `+proto` and the like behind it (Envoy: `hasGrpcContentType`). */
export function isGrpc(contentType: string | undefined): boolean {
  return (
    contentType?.startsWith(GRPC) === true &&
    (contentType.length === GRPC.length || contentType.charAt(GRPC.length) === '+')
  );
}

/** gRPC-Web, binary or text: the four types that Envoy takes for it, to the letter. */
export function isGrpcWeb(contentType: string | undefined): boolean {
  return (
    contentType === 'application/grpc-web' ||
    contentType === 'application/grpc-web+proto' ||
    isGrpcWebText(contentType)
  );
}

/** gRPC-Web whose bodies are base64. */
export function isGrpcWebText(contentType: string | undefined): boolean {
  return contentType === 'application/grpc-web-text' || contentType === 'application/grpc-web-text+proto';
}

/** Connect's streaming calls: `application/connect+` and a codec. */
export function isConnectStreaming(contentType: string | undefined): boolean {
  return contentType?.startsWith(CONNECT) === true && contentType.charAt(CONNECT.length) === '+';
}
