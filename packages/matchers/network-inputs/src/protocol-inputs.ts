import {
  ApplicationProtocolInputSchema,
  ServerNameInputSchema,
  TransportProtocolInputSchema,
} from '@dragoman/api';
import { type ConnectionInfo, defineMatchInput } from '@dragoman/core';
import { utf8Bytes } from '@dragoman/matching';

const serverName = ({ requestedServerName: name }: ConnectionInfo) =>
  name === '' ? undefined : utf8Bytes(name);

/** The server name that the client asked for (SNI); nothing when it asked for none. */
export const serverNameInput = defineMatchInput({
  name: 'envoy.matching.inputs.server_name',
  config: ServerNameInputSchema,
  createHttp: () => ({ kind: 'text', get: ({ info }) => serverName(info.connection) }),
  createConnection: () => ({ kind: 'text', get: ({ connection }) => serverName(connection) }),
});

/** `raw_buffer` or `tls`, when a listener filter has detected it; nothing otherwise. */
export const transportProtocolInput = defineMatchInput({
  name: 'envoy.matching.inputs.transport_protocol',
  config: TransportProtocolInputSchema,
  createConnection: () => ({
    kind: 'text',
    get: ({ connection: { transportProtocol: protocol } }) => (protocol === '' ? undefined : protocol),
  }),
});

/** The protocols that the client offered, quoted and with commas between: `'h2','http/1.1'`. Nothing when it offered none. */
export const applicationProtocolInput = defineMatchInput({
  name: 'envoy.matching.inputs.application_protocol',
  config: ApplicationProtocolInputSchema,
  createConnection: () => ({
    kind: 'text',
    get: ({ connection: { applicationProtocols: protocols } }) =>
      protocols.length === 0 ? undefined : `'${protocols.join("','")}'`,
  }),
});
