import {
  DestinationIPInputSchema,
  DestinationPortInputSchema,
  DirectSourceIPInputSchema,
  SourceIPInputSchema,
  SourcePortInputSchema,
  SourceTypeInputSchema,
} from '@dragoman/api';
import {
  type Address,
  type ConnectionMatchData,
  defineMatchInput,
  type HttpMatchData,
  type MatchInput,
} from '@dragoman/core';

/** The addresses of a connection, or of a request on one. */
interface Ends {
  readonly local: Address;
  readonly remote: Address;
  readonly direct: Address;
}

const ofConnection = ({ connection }: ConnectionMatchData): Ends => ({
  local: connection.localAddress,
  remote: connection.remoteAddress,
  direct: connection.directRemoteAddress,
});

/** A request's client is the one that x-forwarded-for is trusted to name. */
const ofRequest = ({ info }: HttpMatchData): Ends => ({
  local: info.connection.localAddress,
  remote: info.remoteAddress,
  direct: info.connection.directRemoteAddress,
});

function inputs(textOf: (ends: Ends) => string | undefined): {
  readonly createHttp: () => MatchInput<HttpMatchData>;
  readonly createConnection: () => MatchInput<ConnectionMatchData>;
} {
  return {
    createHttp: () => ({ kind: 'text', get: (data) => textOf(ofRequest(data)) }),
    createConnection: () => ({ kind: 'text', get: (data) => textOf(ofConnection(data)) }),
  };
}

const ipOf = (address: Address) => (address.family === 'pipe' ? undefined : address.ip);
const portOf = (address: Address) => (address.family === 'pipe' ? undefined : String(address.port));

/** The IP that the peer connected to; nothing for a Unix socket. */
export const destinationIpInput = defineMatchInput({
  name: 'envoy.matching.inputs.destination_ip',
  config: DestinationIPInputSchema,
  ...inputs(({ local }) => ipOf(local)),
});

/** The port that the peer connected to, as decimal digits; nothing for a Unix socket. */
export const destinationPortInput = defineMatchInput({
  name: 'envoy.matching.inputs.destination_port',
  config: DestinationPortInputSchema,
  ...inputs(({ local }) => portOf(local)),
});

/** The client's IP. */
export const sourceIpInput = defineMatchInput({
  name: 'envoy.matching.inputs.source_ip',
  config: SourceIPInputSchema,
  ...inputs(({ remote }) => ipOf(remote)),
});

/** The client's port. */
export const sourcePortInput = defineMatchInput({
  name: 'envoy.matching.inputs.source_port',
  config: SourcePortInputSchema,
  ...inputs(({ remote }) => portOf(remote)),
});

/** The IP of the peer as it stands on the socket, whatever PROXY protocol or x-forwarded-for say. */
export const directSourceIpInput = defineMatchInput({
  name: 'envoy.matching.inputs.direct_source_ip',
  config: DirectSourceIPInputSchema,
  ...inputs(({ direct }) => ipOf(direct)),
});

/** `local` for a client on the same host (by a Unix socket, loopback, or the same IP); nothing for others. */
export const sourceTypeInput = defineMatchInput({
  name: 'envoy.matching.inputs.source_type',
  config: SourceTypeInputSchema,
  ...inputs(({ local, remote }) => (isSameHost(local, remote) ? 'local' : undefined)),
});

function isSameHost(local: Address, remote: Address): boolean {
  if (remote.family === 'pipe' || remote.ip === '::1' || remote.ip.startsWith('127.')) return true;
  return remote.ip === local.ip;
}
