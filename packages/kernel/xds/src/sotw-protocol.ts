import {
  type Any,
  create,
  type DiscoveryRequest,
  DiscoveryRequestSchema,
  type DiscoveryResponse,
  type Status,
} from '@dragoman/api';
import { unwrapResource } from '@dragoman/xds-sources';
import type { Incoming, IncomingResource, Interest, Protocol } from './protocol.ts';

const ALL = '*';

/** The state of the world: each request names everything that is wanted. */
export class SotwProtocol implements Protocol<DiscoveryRequest, DiscoveryResponse> {
  readonly stateOfTheWorld = true;
  private readonly typeUrl: string;
  private readonly interest: () => Interest;
  /** Last taken over. */
  private version = '';
  /** Last received on this stream. */
  private nonce = '';
  private dirty = false;
  private ack: { readonly nonce: string; readonly error: Status | undefined } | undefined = undefined;
  /** Names were sent on this stream: from then on no names means none, and not all. */
  private named = false;

  constructor(typeUrl: string, interest: () => Interest) {
    this.typeUrl = typeUrl;
    this.interest = interest;
  }

  opened(sameServer: boolean): void {
    if (!sameServer) this.version = '';
    this.nonce = '';
    this.ack = undefined;
    this.named = false;
    this.dirty = true;
  }

  interestChanged(): void {
    this.dirty = true;
    // Who asks again later has nothing, whatever was taken over before.
    if (isEmpty(this.interest())) this.version = '';
  }

  /** A server that hears of the version on another stream would not send again what is gone. */
  expired(): void {
    this.version = '';
  }

  received(response: DiscoveryResponse): void {
    this.nonce = response.nonce;
  }

  read(responses: readonly DiscoveryResponse[], whole: boolean): Incoming {
    const last = responses[responses.length - 1];
    const read = whole ? [last] : responses;
    return {
      nonce: last.nonce,
      version: last.versionInfo,
      resources: read.flatMap(({ resources, versionInfo }) =>
        resources.map((resource) => readResource(resource, versionInfo)),
      ),
      removed: [],
    };
  }

  settled(incoming: Incoming, error: Status | undefined): void {
    this.settledLate(incoming, error);
    this.ack = { nonce: incoming.nonce, error };
  }

  settledLate({ version }: Incoming, error: Status | undefined): void {
    if (error === undefined && !isEmpty(this.interest())) this.version = version;
  }

  get acksPending(): number {
    return this.ack === undefined ? 0 : 1;
  }

  get pending(): boolean {
    if (this.ack !== undefined) return true;
    if (!this.dirty) return false;
    // To say nothing at all is the only way to ask for nothing before names were sent.
    return this.named || !isEmpty(this.interest());
  }

  take(): DiscoveryRequest {
    const { ack, version } = this;
    const { wildcard, names } = this.interest();
    const explicit = names.size > 0 || this.named;
    const resourceNames = wildcard && explicit ? [ALL, ...names] : [...names];
    this.named ||= resourceNames.length > 0;
    this.dirty = false;
    this.ack = undefined;
    return create(DiscoveryRequestSchema, {
      typeUrl: this.typeUrl,
      versionInfo: version,
      resourceNames,
      responseNonce: ack?.nonce ?? this.nonce,
      errorDetail: ack?.error,
    });
  }
}

function isEmpty({ wildcard, names }: Interest): boolean {
  return !wildcard && names.size === 0;
}

function readResource(any: Any, versionInfo: string): IncomingResource {
  try {
    return unwrapResource(any, versionInfo);
  } catch (error) {
    const problem = (error as Error).message;
    return { name: '', aliases: [], version: versionInfo, ttlMs: undefined, body: undefined, problem };
  }
}
