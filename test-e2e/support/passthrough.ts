import { StructSchema } from '@dragoman/api';
import { defineNetworkFilter, type Extension } from '@dragoman/core';
import type { Message } from './config.ts';

const NAME = 'test.passthrough';

/** A network filter that lets everything pass. With it in front nobody else may take the connection's socket. */
export const passthroughFilter: Extension = defineNetworkFilter({
  name: NAME,
  config: StructSchema,
  terminal: false,
  create: () => () => ({}),
});

/** A listener with that filter before its others. */
export function behindPassthrough(listener: Message): Message {
  const [chain, ...chains] = listener.filter_chains as Message[];
  const first: Message = {
    name: NAME,
    typed_config: { '@type': 'type.googleapis.com/google.protobuf.Struct', value: {} },
  };
  return {
    ...listener,
    filter_chains: [{ ...chain, filters: [first, ...((chain as Message).filters as Message[])] }, ...chains],
  };
}
