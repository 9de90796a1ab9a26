import {
  create,
  type DeltaDiscoveryRequest,
  DeltaDiscoveryRequestSchema,
  type DeltaDiscoveryResponse,
  durationMs,
  type Status,
} from '@dragoman/api';
import type { Incoming, Interest, Protocol } from './protocol.ts';

const ALL = '*';

interface Ack {
  readonly nonce: string;
  readonly error: Status | undefined;
}

/** What has changed since the last request on the stream. */
interface Difference {
  readonly subscribe: readonly string[];
  readonly unsubscribe: readonly string[];
}

const NONE: Difference = { subscribe: [], unsubscribe: [] };

/** Incremental: requests say what is wanted besides, and no longer. */
export class DeltaProtocol implements Protocol<DeltaDiscoveryRequest, DeltaDiscoveryResponse> {
  readonly stateOfTheWorld = false;
  private readonly typeUrl: string;
  private readonly interest: () => Interest;
  private readonly versions: () => Iterable<readonly [name: string, version: string]>;
  /** What the server of this stream takes to be wanted. */
  private told = new Set<string>();
  private begun = false;
  private sendVersions = false;
  private difference: Difference | undefined = NONE;
  private readonly acks: Ack[] = [];

  /** @param versions of what is known, by names of resources */
  constructor(
    typeUrl: string,
    interest: () => Interest,
    versions: () => Iterable<readonly [name: string, version: string]>,
  ) {
    this.typeUrl = typeUrl;
    this.interest = interest;
    this.versions = versions;
  }

  opened(sameServer: boolean): void {
    this.told = new Set();
    this.begun = false;
    this.sendVersions = sameServer;
    this.difference = undefined;
    this.acks.length = 0;
  }

  interestChanged(): void {
    this.difference = undefined;
  }

  /** Versions are those of what is known: they are right by themselves. */
  expired(): void {}

  received(): void {}

  read([response]: readonly DeltaDiscoveryResponse[]): Incoming {
    return {
      nonce: response.nonce,
      version: response.systemVersionInfo,
      resources: response.resources.map(({ name, resourceName, aliases, version, resource, ttl }) => ({
        name: name === '' ? (resourceName?.name ?? '') : name,
        aliases,
        version,
        ttlMs: durationMs(ttl),
        body: resource,
      })),
      removed: [...response.removedResources, ...response.removedResourceNames.map(({ name }) => name)],
    };
  }

  settled({ nonce }: Incoming, error: Status | undefined): void {
    this.acks.push({ nonce, error });
  }

  settledLate(): void {}

  get acksPending(): number {
    return this.acks.length;
  }

  get pending(): boolean {
    if (this.acks.length > 0) return true;
    const { subscribe, unsubscribe } = this.compare();
    return subscribe.length > 0 || unsubscribe.length > 0;
  }

  take(): DeltaDiscoveryRequest {
    const ack = this.acks.shift();
    const { subscribe, unsubscribe } = this.compare();
    for (const name of subscribe) this.told.add(name);
    for (const name of unsubscribe) this.told.delete(name);
    const first = !this.begun;
    this.begun = true;
    this.difference = NONE;
    // Without names the first request asks for everything, and old servers know no other way.
    const legacy = first && subscribe.length === 1 && subscribe[0] === ALL;
    return create(DeltaDiscoveryRequestSchema, {
      typeUrl: this.typeUrl,
      resourceNamesSubscribe: legacy ? [] : [...subscribe],
      resourceNamesUnsubscribe: [...unsubscribe],
      initialResourceVersions: first && this.sendVersions ? versionMap(this.versions()) : {},
      responseNonce: ack?.nonce ?? '',
      errorDetail: ack?.error,
    });
  }

  private compare(): Difference {
    if (this.difference !== undefined) return this.difference;
    const { wildcard, names } = this.interest();
    const { told } = this;
    const subscribe = [...names].filter((name) => !told.has(name));
    if (wildcard && !told.has(ALL)) subscribe.unshift(ALL);
    const unsubscribe = [...told].filter((name) => (name === ALL ? !wildcard : !names.has(name)));
    this.difference = { subscribe, unsubscribe };
    return this.difference;
  }
}

/** Names come from outside: `__proto__` is one like any other. */
function versionMap(versions: Iterable<readonly [string, string]>): Record<string, string> {
  const map: Record<string, string> = Object.create(null);
  for (const [name, version] of versions) map[name] = version;
  return map;
}
