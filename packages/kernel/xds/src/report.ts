import type { Message } from '@dragoman/api';
import { messageOf, type RefusedUpdate, type ResourceStatus } from './known-resources.ts';
import type { AnyRequest } from './protocol.ts';
import type { TypeChannel } from './type-channel.ts';

export interface ResourceReport {
  readonly name: string;
  /** In use; empty: none, or one without a version. */
  readonly version: string;
  /** When it was taken over, wall time in ms; undefined: never. */
  readonly lastUpdated: number | undefined;
  readonly status: ResourceStatus;
  /** In use. */
  readonly message: Message | undefined;
  /** Of the last version, when it was refused. */
  readonly error: RefusedUpdate | undefined;
}

/** One type from one source. */
export interface TypeReport {
  readonly typeUrl: string;
  /** `ads`, the cluster or target of a stream of its own, or what whoever opened it says. */
  readonly source: string;
  /** Last taken over. */
  readonly version: string;
  /** Of the last response, when it was refused in part or as a whole. */
  readonly error: RefusedUpdate | undefined;
  /** Responses that a newer one has made superfluous before their turn. */
  readonly skipped: number;
  /** Those that are known, then those that are wanted by name and are not. */
  readonly resources: readonly ResourceReport[];
}

/** What `/config_dump` and client status discovery show of the subscriptions. */
export interface XdsReport {
  readonly types: readonly TypeReport[];
}

export function reportType<Q extends AnyRequest, R>(channel: TypeChannel<Q, R>, source: string): TypeReport {
  const { typeUrl, version, lastError: error, skipped, known, watches } = channel;
  const resources: ResourceReport[] = [];
  const there = new Set<string>();
  for (const one of known) {
    for (const name of [one.name, ...(one.resource?.aliases ?? [])]) there.add(name);
    resources.push({
      name: one.name,
      version: one.resource?.version ?? '',
      lastUpdated: one.lastUpdated,
      status: one.error === undefined ? 'ACKED' : 'NACKED',
      message: messageOf(one),
      error: one.error,
    });
  }
  const late = new Set<string>();
  for (const watch of watches) if (watch.timedOut) for (const name of watch.names) late.add(name);
  for (const name of watches.names) {
    if (there.has(name)) continue;
    const status = known.isAbsent(name) ? 'DOES_NOT_EXIST' : late.has(name) ? 'TIMEOUT' : 'REQUESTED';
    resources.push({
      name,
      version: '',
      lastUpdated: undefined,
      status,
      message: undefined,
      error: undefined,
    });
  }
  return { typeUrl, source, version, error, skipped, resources };
}
