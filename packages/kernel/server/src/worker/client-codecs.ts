import { createClientCodec } from '@dragoman/http1';
import { createClientCodec as createHttp2ClientCodec, Http2Sessions } from '@dragoman/http2';

/** The protocols of connections to upstreams, on every thread. */
export const clientCodecs = {
  createCodec: createClientCodec,
  http2: { createCodec: createHttp2ClientCodec, createSessions: () => new Http2Sessions() },
};
