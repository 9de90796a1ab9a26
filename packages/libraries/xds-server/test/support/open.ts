import {
  create,
  DeltaDiscoveryRequestSchema,
  type DeltaDiscoveryResponse,
  DiscoveryRequestSchema,
  type DiscoveryResponse,
  type MessageInitShape,
  type Message,
  unpackAny,
} from '@dragoman/api';
import { type StreamOptions, typeUrlOf, type XdsError, type XdsProtocol } from '../../src/index.ts';
import { node } from './resources.ts';

type SotwFields = MessageInitShape<typeof DiscoveryRequestSchema>;
type DeltaFields = MessageInitShape<typeof DeltaDiscoveryRequestSchema>;

/** A stream and all that came out of it, for tests that write their requests themselves. */
export interface Opened<Fields, Out> {
  readonly responses: Out[];
  readonly ended: (XdsError | undefined)[];
  /** @param type as `typeUrlOf` takes it; empty for none */
  ask(type: string, fields?: Fields): void;
  /** Accepts all that came and was not accepted yet, with the fields last asked for. */
  accept(): void;
  close(): void;
}

export function openSotw(
  protocol: XdsProtocol,
  options: StreamOptions & { id?: string } = {},
): Opened<SotwFields, DiscoveryResponse> {
  const responses: DiscoveryResponse[] = [];
  const ended: (XdsError | undefined)[] = [];
  const asked = new Map<string, SotwFields>();
  let accepted = 0;
  const stream = protocol.openSotw(
    { write: (one) => responses.push(one) > 0, end: (error) => ended.push(error) },
    options,
  );
  const send = (url: string, fields: SotwFields): void => {
    stream.receive(
      create(DiscoveryRequestSchema, { node: node(options.id ?? 'test'), ...fields, typeUrl: url }),
    );
  };
  return {
    responses,
    ended,
    ask(type, fields = {}) {
      const url = type === '' ? '' : typeUrlOf(type);
      asked.set(url, fields);
      const nonce = responses.findLast((one) => one.typeUrl === url)?.nonce;
      send(url, { responseNonce: nonce, ...fields });
    },
    accept() {
      for (const { typeUrl: url, nonce, versionInfo } of responses.slice(accepted))
        send(url, { ...asked.get(url), responseNonce: nonce, versionInfo });
      accepted = responses.length;
    },
    close: () => stream.close(),
  };
}

export function openDelta(
  protocol: XdsProtocol,
  options: StreamOptions & { id?: string } = {},
): Opened<DeltaFields, DeltaDiscoveryResponse> {
  const responses: DeltaDiscoveryResponse[] = [];
  const ended: (XdsError | undefined)[] = [];
  let accepted = 0;
  const stream = protocol.openDelta(
    { write: (one) => responses.push(one) > 0, end: (error) => ended.push(error) },
    options,
  );
  const send = (url: string, fields: DeltaFields): void => {
    stream.receive(
      create(DeltaDiscoveryRequestSchema, { node: node(options.id ?? 'test'), ...fields, typeUrl: url }),
    );
  };
  return {
    responses,
    ended,
    ask: (type, fields = {}) => send(type === '' ? '' : typeUrlOf(type), fields),
    accept() {
      for (const { typeUrl: url, nonce } of responses.slice(accepted)) send(url, { responseNonce: nonce });
      accepted = responses.length;
    },
    close: () => stream.close(),
  };
}

/** The type of a response, in short: `Cluster`. */
export const shortType = ({ typeUrl: url }: { typeUrl: string }): string =>
  url.slice(url.lastIndexOf('.') + 1);

/** Names of what a response of the state of the world holds. */
export function namesIn(response: DiscoveryResponse | undefined): string[] {
  return (response?.resources ?? []).map((any) => {
    const message = unpackAny(any) as Message & { name?: string; clusterName?: string };
    return message.name ?? message.clusterName ?? '';
  });
}
