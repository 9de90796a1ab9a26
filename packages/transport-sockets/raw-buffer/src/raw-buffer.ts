import { RawBufferSchema } from '@dragoman/api';
import { defineTransportSocket } from '@dragoman/core';

/** As filter chains match it (`transport_protocol`) and connections report it. */
const NAME = 'raw_buffer';
const PLAIN = { name: NAME, secure: false };

/** `envoy.transport_sockets.raw_buffer`: bytes as they are, on both sides. */
export const rawBuffer = defineTransportSocket({
  name: 'envoy.transport_sockets.raw_buffer',
  config: RawBufferSchema,
  createDownstream: () => PLAIN,
  createUpstream: () => PLAIN,
});
