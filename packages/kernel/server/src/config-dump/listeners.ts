import {
  anyPack,
  create,
  ListenerSchema,
  type ListenersConfigDump_DynamicListener,
  ListenersConfigDump_DynamicListenerSchema,
  type ListenersConfigDump_DynamicListenerState,
  ListenersConfigDump_DynamicListenerStateSchema,
  ListenersConfigDumpSchema,
  type Message,
} from '@dragoman/api';
import type { RunningListener } from '../listener/listener-manager.ts';
import { statusOf } from './clusters.ts';
import { type DumpedParts, errorState, timestamp } from './parts.ts';

/** As in Envoy one entry holds every state of a name; of several versions that are draining it shows the last. */
export function dumpListeners({ listeners: manager, versions, server }: DumpedParts): Message {
  const { listeners, warming, draining, failures } = manager;
  const dynamic = new Map<string, ListenersConfigDump_DynamicListener>();
  const entry = (name: string): ListenersConfigDump_DynamicListener => {
    const found = dynamic.get(name) ?? create(ListenersConfigDump_DynamicListenerSchema, { name });
    dynamic.set(name, found);
    return found;
  };
  for (const one of listeners) if (one.dynamic) entry(one.name).activeState = stateOf(one);
  for (const one of warming) entry(one.name).warmingState = stateOf(one);
  for (const one of draining) entry(one.name).drainingState = stateOf(one);
  for (const name of [...Array.from(failures, (one) => one.name), ...server.refused(ListenerSchema)])
    entry(name);
  for (const [name, found] of dynamic) {
    const failure = server.refusal(ListenerSchema, name, failures.get(name));
    Object.assign(found, errorState(failure));
    const { activeState, warmingState } = found;
    found.clientStatus = statusOf(warmingState?.versionInfo || activeState?.versionInfo || '', failure);
  }
  return create(ListenersConfigDumpSchema, {
    versionInfo: versions.listeners,
    staticListeners: listeners
      .filter((one) => !one.dynamic)
      .map(({ message, updatedAt }) => ({
        listener: anyPack(ListenerSchema, message),
        lastUpdated: timestamp(updatedAt),
      })),
    dynamicListeners: [...dynamic.values()],
  });
}

function stateOf({ message, updatedAt, version }: RunningListener): ListenersConfigDump_DynamicListenerState {
  return create(ListenersConfigDump_DynamicListenerStateSchema, {
    versionInfo: version,
    listener: anyPack(ListenerSchema, message),
    lastUpdated: timestamp(updatedAt),
  });
}
