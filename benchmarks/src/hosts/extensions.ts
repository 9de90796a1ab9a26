// What the proxy of `proxy.ts` is made of, on its main thread and on its workers.
import { isMainThread, threadId } from 'node:worker_threads';
import type { DiscoveryListener, Extension, LoadBalancerExtension } from '@dragoman/core';
import { extensions as sidecar } from 'dragoman';
import { ARRIVALS, type Arrival, GIVEN, MARK } from './arrival.ts';

/** On main: who wants to hear of hosts. */
export const given = Promise.withResolvers<DiscoveryListener>();

/** Hosts that the benchmark gives. */
const givenHosts: Extension = {
  category: 'discovery',
  name: GIVEN,
  create: () => ({ start: (listener) => given.resolve(listener), stop() {} }),
};

/** The sidecar's round robin, which tells of each list that it is given. */
function reporting(inner: LoadBalancerExtension): LoadBalancerExtension {
  if (isMainThread) return inner;
  const channel = new BroadcastChannel(ARRIVALS);
  return {
    ...inner,
    create: (...args) => {
      const policy = inner.create(...args);
      if ('createBalancer' in policy) return policy;
      return {
        ...policy,
        createPicker: (hosts, previous) => {
          // A microtask runs when the worker has done with the message that brought the list.
          const marker = hosts[0]?.hostname ?? '';
          if (marker.startsWith(MARK)) queueMicrotask(() => report(channel, marker));
          return policy.createPicker(hosts, previous);
        },
      };
    },
  };
}

function report(channel: BroadcastChannel, marker: string): void {
  channel.postMessage({ thread: threadId, marker, at: process.hrtime.bigint() } satisfies Arrival);
}

export const extensions: readonly Extension[] = [
  ...sidecar.map((extension) => (extension.category === 'load-balancers' ? reporting(extension) : extension)),
  givenHosts,
];
