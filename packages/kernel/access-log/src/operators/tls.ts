import type { LogContext, TlsInfo } from '@dragoman/core';
import { type OperatorSpec, type OperatorTable, plain, unicodeOperator } from '../operator.ts';

type Side = (context: LogContext) => TlsInfo | undefined;

/** A field of a TLS session; plaintext and an empty field have no value. */
function field(side: Side, read: (tls: TlsInfo) => string | undefined): OperatorSpec {
  return plain(
    unicodeOperator((context) => {
      const tls = side(context);
      return tls === undefined ? undefined : read(tls) || undefined;
    }),
  );
}

/** A certificate as one word: PEM, percent-encoded. */
const pem = (tls: TlsInfo): string | undefined =>
  tls.peerCertificatePem === undefined ? undefined : encodeURIComponent(tls.peerCertificatePem);

const downstream: Side = (context) => context.info.connection.tls;
const upstream: Side = (context) => context.info.upstreamTls;

/** Operators about TLS sessions and their certificates. */
export const tlsOperators: OperatorTable = {
  DOWNSTREAM_TLS_VERSION: field(downstream, (tls) => tls.version),
  DOWNSTREAM_TLS_CIPHER: field(downstream, (tls) => tls.cipher),
  DOWNSTREAM_TLS_SESSION_ID: field(downstream, (tls) => tls.sessionId),
  DOWNSTREAM_PEER_SUBJECT: field(downstream, (tls) => tls.peerSubject),
  DOWNSTREAM_PEER_ISSUER: field(downstream, (tls) => tls.peerIssuer),
  DOWNSTREAM_PEER_SERIAL: field(downstream, (tls) => tls.peerSerial),
  DOWNSTREAM_PEER_FINGERPRINT_256: field(downstream, (tls) => tls.peerFingerprint256),
  DOWNSTREAM_PEER_FINGERPRINT_1: field(downstream, (tls) => tls.peerFingerprint1),
  DOWNSTREAM_PEER_URI_SAN: field(downstream, (tls) => tls.peerUriSans?.join(',')),
  DOWNSTREAM_PEER_DNS_SAN: field(downstream, (tls) => tls.peerDnsSans?.join(',')),
  DOWNSTREAM_PEER_CERT: field(downstream, pem),
  DOWNSTREAM_LOCAL_SUBJECT: field(downstream, (tls) => tls.localSubject),
  DOWNSTREAM_LOCAL_URI_SAN: field(downstream, (tls) => tls.localUriSans?.join(',')),
  DOWNSTREAM_LOCAL_DNS_SAN: field(downstream, (tls) => tls.localDnsSans?.join(',')),
  UPSTREAM_TLS_VERSION: field(upstream, (tls) => tls.version),
  UPSTREAM_TLS_CIPHER: field(upstream, (tls) => tls.cipher),
  UPSTREAM_TLS_SESSION_ID: field(upstream, (tls) => tls.sessionId),
  UPSTREAM_PEER_SUBJECT: field(upstream, (tls) => tls.peerSubject),
  UPSTREAM_PEER_ISSUER: field(upstream, (tls) => tls.peerIssuer),
  UPSTREAM_PEER_URI_SAN: field(upstream, (tls) => tls.peerUriSans?.join(',')),
  UPSTREAM_PEER_DNS_SAN: field(upstream, (tls) => tls.peerDnsSans?.join(',')),
  UPSTREAM_PEER_CERT: field(upstream, pem),
  UPSTREAM_LOCAL_URI_SAN: field(upstream, (tls) => tls.localUriSans?.join(',')),
  UPSTREAM_LOCAL_DNS_SAN: field(upstream, (tls) => tls.localDnsSans?.join(',')),
};
