export { createClientCodec } from './client-codec.ts';
export { Http1Details } from './details.ts';
export type {
  HeaderKeyFormat,
  Http1ClientOptions,
  Http1CommonOptions,
  Http1ServerOptions,
} from './options.ts';
export { createServerCodec } from './server-codec.ts';
