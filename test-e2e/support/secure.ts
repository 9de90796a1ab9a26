import type { Message } from './config.ts';

const TYPES = 'type.googleapis.com/envoy.extensions';
const TLS = `${TYPES}.transport_sockets.tls.v3`;

interface Certificate {
  /** PEM. */
  readonly cert: string;
  readonly key: string;
}

/** Fields of a filter chain that ends TLS. */
export function downstreamTls(
  { cert, key }: Certificate,
  alpn: readonly string[],
  more: Message = {},
): Message {
  return {
    transport_socket: {
      name: 'envoy.transport_sockets.tls',
      typed_config: {
        '@type': `${TLS}.DownstreamTlsContext`,
        common_tls_context: {
          alpn_protocols: alpn,
          tls_certificates: [
            { certificate_chain: { inline_string: cert }, private_key: { inline_string: key } },
          ],
        },
        ...more,
      },
    },
  };
}

/** Fields of a cluster that begins TLS, and wants the upstream's certificate to have `name`. */
export function upstreamTls({ ca, name }: { readonly ca: string; readonly name: string }): Message {
  return {
    transport_socket: {
      name: 'envoy.transport_sockets.tls',
      typed_config: {
        '@type': `${TLS}.UpstreamTlsContext`,
        sni: name,
        common_tls_context: {
          validation_context: {
            trusted_ca: { inline_string: ca },
            match_typed_subject_alt_names: [{ san_type: 'DNS', matcher: { exact: name } }],
          },
        },
      },
    },
  };
}

/** Fields of a cluster with `explicit_http_config`. */
export function upstreamHttp(explicit: Message): Message {
  return {
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': `${TYPES}.upstreams.http.v3.HttpProtocolOptions`,
        explicit_http_config: explicit,
      },
    },
  };
}
