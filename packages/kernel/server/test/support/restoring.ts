import { Address, type ListenerFilterExtension } from '@dragoman/core';

/** Stands for the filter that asks the kernel. @param to undefined: nobody redirected the connection */
export const restoring = (to: string | undefined): ListenerFilterExtension => ({
  category: 'listener-filters',
  name: 'envoy.filters.listener.original_dst',
  create: () => () => ({
    maxReadBytes: 0,
    onAccept({ info, descriptor }) {
      if (descriptor < 3) return 'close';
      if (to === undefined) return 'continue';
      info.localAddress = Address.of(to);
      info.localAddressRestored = true;
      return 'continue';
    },
  }),
});
