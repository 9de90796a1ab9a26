import { addressMessage, ListenersSchema } from '@dragoman/api';
import type { Endpoint } from '../endpoint.ts';
import { messageJson } from '../proto.ts';
import { json, ok, text } from '../request.ts';

export function listeners(): Endpoint[] {
  return [
    {
      path: '/listeners',
      help: 'print listeners and their addresses',
      parameters: [{ name: 'format', help: 'How to print them', choices: ['text', 'json'] }],
      handle: async (state, query) => {
        const list = await state.listeners();
        if (query.get('format') === 'json') {
          const listenerStatuses = list.map(({ name, addresses: [main, ...others] }) => ({
            name,
            ...(main === undefined ? {} : { localAddress: addressMessage(main) }),
            additionalLocalAddresses: others.map(addressMessage),
          }));
          return json(messageJson(ListenersSchema, { listenerStatuses }));
        }
        return text(
          list
            .flatMap(({ name, addresses }) => addresses.map((address) => `${name}::${address.text}\n`))
            .join(''),
        );
      },
    },
    {
      path: '/drain_listeners',
      help: 'drain and stop listeners',
      mutates: true,
      parameters: [
        {
          name: 'graceful',
          type: 'flag',
          help: 'Let connections go over the drain time before the listeners stop',
        },
        { name: 'skip_exit', type: 'flag', help: 'Do not stop the listeners afterwards; only with graceful' },
        { name: 'inboundonly', type: 'flag', help: 'Only listeners whose traffic_direction is INBOUND' },
      ],
      handle: (state, query) => {
        const graceful = query.has('graceful');
        const skipExit = query.has('skip_exit');
        if (skipExit && !graceful) return text('skip_exit requires graceful\n', 400);
        state.drainListeners({ graceful, skipExit, inboundOnly: query.has('inboundonly') });
        return ok();
      },
    },
  ];
}
