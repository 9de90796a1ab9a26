import type { Message } from '@dragoman/api';
import {
  type KnownResources,
  messageOf,
  type RefusedUpdate,
  type ResourceStatus,
} from './known-resources.ts';

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
  /** `ads`, `file`, `rest`, or the cluster or target of a stream of its own. */
  readonly source: string;
  /** Last taken over. */
  readonly version: string;
  /** Of the last response, when it was refused in part or as a whole. */
  readonly error: RefusedUpdate | undefined;
  /** Responses that a newer one has made superfluous before their turn. */
  readonly skipped: number;
  /** Resources of a stream that came although nobody had asked for them: they were dropped. */
  readonly unwanted: number;
  /** Those that are known, then those that are wanted by name and are not. */
  readonly resources: readonly ResourceReport[];
}

/** What `/config_dump` and client status discovery show of the subscriptions. */
export interface XdsReport {
  readonly types: readonly TypeReport[];
}

/** What a report needs of one type from one source. */
export interface Reported {
  readonly typeUrl: string;
  readonly version: string;
  readonly lastError: RefusedUpdate | undefined;
  readonly skipped: number;
  readonly unwanted: number;
  readonly known: KnownResources;
  /** Wanted, in canonical form. */
  readonly names: Iterable<string>;
  /** Those of them that were waited for in vain. */
  readonly lateNames: ReadonlySet<string>;
}

export function reportType(
  { typeUrl, version, lastError: error, skipped, unwanted, known, names, lateNames }: Reported,
  source: string,
): TypeReport {
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
  for (const name of names) {
    if (there.has(name)) continue;
    const status = known.isAbsent(name) ? 'DOES_NOT_EXIST' : lateNames.has(name) ? 'TIMEOUT' : 'REQUESTED';
    resources.push({
      name,
      version: '',
      lastUpdated: undefined,
      status,
      message: undefined,
      error: undefined,
    });
  }
  return { typeUrl, source, version, error, skipped, unwanted, resources };
}
