import { DnsSanInputSchema, SubjectInputSchema, UriSanInputSchema } from '@dragoman/api';
import {
  type ConnectionMatchData,
  defineMatchInput,
  type HttpMatchData,
  type MatchInput,
  NOT_AVAILABLE,
  type TlsInfo,
} from '@dragoman/core';

/** The URIs of the client certificate's subject alternative names, with commas between. */
export const uriSanInput = defineMatchInput({
  name: 'envoy.matching.inputs.uri_san',
  config: UriSanInputSchema,
  ...inputs(({ peerUriSans }) => joined(peerUriSans)),
});

/** The DNS names of the client certificate's subject alternative names, with commas between. */
export const dnsSanInput = defineMatchInput({
  name: 'envoy.matching.inputs.dns_san',
  config: DnsSanInputSchema,
  ...inputs(({ peerDnsSans }) => joined(peerDnsSans)),
});

/** The subject of the client's certificate, as RFC 2253 writes it. */
export const subjectInput = defineMatchInput({
  name: 'envoy.matching.inputs.subject',
  config: SubjectInputSchema,
  ...inputs(({ peerSubject }) => (peerSubject === '' ? undefined : peerSubject)),
});

/** On plaintext, and while filter chains are chosen, which is before TLS begins, it cannot be told. */
function inputs(textOf: (tls: TlsInfo) => string | undefined): {
  readonly createHttp: () => MatchInput<HttpMatchData>;
  readonly createConnection: () => MatchInput<ConnectionMatchData>;
} {
  const get = (tls: TlsInfo | undefined) => (tls === undefined ? NOT_AVAILABLE : textOf(tls));
  return {
    createHttp: () => ({ kind: 'text', get: ({ info }) => get(info.connection.tls) }),
    createConnection: () => ({ kind: 'text', get: ({ connection }) => get(connection.tls) }),
  };
}

function joined(names: readonly string[] | undefined): string | undefined {
  return names === undefined || names.length === 0 ? undefined : names.join(',');
}
