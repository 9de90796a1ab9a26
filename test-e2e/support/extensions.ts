import { defineHttpFilter, type Extension, type HttpFilter, type HttpStream } from '@dragoman/core';
import { StructSchema } from '@dragoman/api';
import { extensions } from 'dragoman';
import type { Message } from './config.ts';

/** What the proxies of these tests are assembled from: the sidecar's own list. */
export const EXTENSIONS: readonly Extension[] = extensions;

const SCRIPTED = 'test.scripted';

/** An HTTP filter whose hooks a test writes. */
export const scriptedFilter = (create: (stream: HttpStream) => HttpFilter): Extension =>
  defineHttpFilter({ name: SCRIPTED, config: StructSchema, create: () => create });

/** Names it in a config. */
export const scripted: Message = {
  name: SCRIPTED,
  typed_config: { '@type': 'type.googleapis.com/google.protobuf.Struct', value: {} },
};
