export {
  encodeGrpcFrame,
  encodeGrpcFrameHeader,
  FRAME_HEADER_BYTES,
  FrameFlag,
  type GrpcFrame,
} from './frame.ts';
export { GrpcFrameCounter } from './frame-counter.ts';
export { GrpcFrameReader, type GrpcFrameReaderOptions } from './frame-reader.ts';
export { decodeGrpcMessage, encodeGrpcMessage } from './grpc-message.ts';
export {
  grpcStatusFromHttp,
  GrpcStatus,
  httpStatusFromGrpc,
  MAX_KNOWN_GRPC_STATUS,
  readGrpcStatus,
} from './grpc-status.ts';
export {
  isConnectStreaming,
  isGrpc,
  isGrpcWeb,
  isGrpcWebText,
} from './content-type.ts';
