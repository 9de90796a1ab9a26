import {
  anyPack,
  type Bootstrap,
  ClientResourceStatus,
  create,
  type DescMessage,
  messageType,
  timestampFromMs,
  typeNameOf,
  type UpdateFailureState,
  UpdateFailureStateSchema,
} from '@dragoman/api';
import type { Any, Message } from '@dragoman/api';
import type { XdsReport } from '@dragoman/xds';
import type { ClusterDirectory } from '../cluster-directory.ts';
import type { Held, ResourceFailure } from '../dynamic/resource-book.ts';
import type { ListenerManager } from '../listener/listener-manager.ts';

/** What `/config_dump` shows. */
export interface DumpedParts {
  readonly bootstrap: Bootstrap;
  /** Wall time in ms. */
  readonly loadedAt: number;
  readonly clusters: Pick<ClusterDirectory, 'clusters' | 'warming' | 'failures'>;
  readonly listeners: Pick<ListenerManager, 'listeners' | 'warming' | 'draining' | 'failures'>;
  /** What listeners and clusters name in place of holding it. */
  readonly held: readonly Held[];
  /** Versions of the last updates of CDS and LDS. */
  readonly versions: { readonly clusters: string; readonly listeners: string };
  readonly server: ServerStatus;
}

/** What was refused, and why. */
export type Refusal = ResourceFailure;

type ResourceReport = XdsReport['types'][number]['resources'][number];

/** What the subscriptions say of resources by type and name: also of those that nobody could read. */
export class ServerStatus {
  private readonly byType = new Map<string, Map<string, ResourceReport>>();

  /** @param report undefined: nobody knows */
  constructor(report: XdsReport | undefined) {
    for (const { typeUrl, resources } of report?.types ?? []) {
      const typeName = typeNameOf(typeUrl);
      const byName = this.byType.get(typeName) ?? new Map<string, ResourceReport>();
      this.byType.set(typeName, byName);
      for (const one of resources) byName.set(one.name, one);
    }
  }

  get({ typeName }: DescMessage, name: string): ResourceReport | undefined {
    return this.byType.get(typeName)?.get(name);
  }

  /** The later one of what is known here and what the subscriptions know. */
  refusal(type: DescMessage, name: string, own: Refusal | undefined): Refusal | undefined {
    const error = this.get(type, name)?.error;
    if (error === undefined || (own !== undefined && own.at >= error.at)) return own;
    return sameText(own, error) ? own : { ...error, message: undefined };
  }

  /** Names of a type that have been refused. */
  refused({ typeName }: DescMessage): readonly string[] {
    return [...(this.byType.get(typeName)?.values() ?? [])]
      .filter(({ error }) => error !== undefined)
      .map(({ name }) => name);
  }
}

/** The subscriber's refusal comes back with the resource's name before it, a little later. */
function sameText(own: Refusal | undefined, error: { readonly details: string }): boolean {
  return own !== undefined && error.details.includes(own.details.split('\n', 1)[0] as string);
}

export function timestamp(wallTime: number): ReturnType<typeof timestampFromMs> {
  return timestampFromMs(Math.round(wallTime));
}

/** A message in an Any, by its own type. */
export function packed(message: Message): Any {
  return anyPack(messageType(message.$typeName) as DescMessage, message);
}

/** The field `error_state`, where there is an error. */
export function errorState(refusal: Refusal | undefined): { readonly errorState?: UpdateFailureState } {
  if (refusal === undefined) return {};
  const { message, version, details, at } = refusal;
  return {
    errorState: create(UpdateFailureStateSchema, {
      ...(message === undefined ? {} : { failedConfiguration: packed(message) }),
      lastUpdateAttempt: timestamp(at),
      details,
      versionInfo: version,
    }),
  };
}

interface EntryState {
  readonly lastUpdated?: ReturnType<typeof timestamp>;
  readonly errorState?: UpdateFailureState;
  readonly clientStatus: ClientResourceStatus;
}

/**
 * The fields `last_updated`, `error_state` and `client_status`.
 * @param updatedAt wall time in ms
 * @param has some version is in place, or on its way there
 */
export function entryState(
  updatedAt: number | undefined,
  has: boolean,
  refusal: Refusal | undefined,
  settled: boolean,
): EntryState {
  return {
    ...(updatedAt === undefined ? {} : { lastUpdated: timestamp(updatedAt) }),
    ...errorState(refusal),
    clientStatus: clientStatus(has, refusal, settled),
  };
}

function clientStatus(has: boolean, refusal: Refusal | undefined, settled: boolean): ClientResourceStatus {
  if (refusal !== undefined) return ClientResourceStatus.NACKED;
  if (has) return ClientResourceStatus.ACKED;
  return settled ? ClientResourceStatus.DOES_NOT_EXIST : ClientResourceStatus.REQUESTED;
}
