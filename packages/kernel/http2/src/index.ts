export {
  createClientCodec,
  type Http2ClientCodec,
  type Http2ClientHandler,
} from './client/client-codec.ts';
export { HTTP2_CLIENT_DEFAULTS, type Http2ClientOptions } from './client/options.ts';
export { Http2Sessions } from './client/sessions.ts';
export { Http2Details } from './details.ts';
export {
  faultOf,
  type FieldFault,
  type RawFields,
  readRequest,
  readResponse,
  readTrailers,
  writeLines,
} from './fields.ts';
export { KeepAlive, type KeepAliveSettings, PING_TIMEOUT } from './keep-alive.ts';
export { HTTP2_DEFAULTS, type Http2ServerOptions } from './options.ts';
export { type Http2ProtocolSettings, readHttp2ProtocolOptions } from './protocol-options.ts';
export { createServerCodec, type Http2Transport } from './server/server-codec.ts';
export { createHttp2Stats, type Http2Stats } from './stats.ts';
