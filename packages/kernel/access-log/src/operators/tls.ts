import type { LogContext, TlsInfo } from '@dragoman/core';
import { type OperatorSpec, type OperatorTable, plain, unicodeOperator } from '../operator.ts';
import { compileTimeFormat, defaultTimeFormatter } from '../time-format.ts';

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

/** A list of words, separated by commas. */
function list(side: Side, read: (tls: TlsInfo) => readonly string[] | undefined): OperatorSpec {
  return field(side, (tls) => read(tls)?.join(','));
}

/** A moment of the peer's certificate, in the format of the parameter or as `%START_TIME%`. */
function moment(side: Side, read: (tls: TlsInfo) => number | undefined): OperatorSpec {
  return {
    parameters: 'optional',
    length: false,
    compile(parameter) {
      const format = parameter === '' ? defaultTimeFormatter(false) : compileTimeFormat(parameter, false);
      return unicodeOperator((context) => {
        const tls = side(context);
        const time = tls === undefined ? undefined : read(tls);
        return time === undefined ? undefined : format(time);
      });
    },
  };
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
  DOWNSTREAM_PEER_URI_SAN: list(downstream, (tls) => tls.peerUriSans),
  DOWNSTREAM_PEER_DNS_SAN: list(downstream, (tls) => tls.peerDnsSans),
  DOWNSTREAM_PEER_IP_SAN: list(downstream, (tls) => tls.peerIpSans),
  DOWNSTREAM_PEER_EMAIL_SAN: list(downstream, (tls) => tls.peerEmailSans),
  DOWNSTREAM_PEER_OTHERNAME_SAN: list(downstream, (tls) => tls.peerOthernameSans),
  DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_256: list(downstream, (tls) => tls.peerChainFingerprints256),
  DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_1: list(downstream, (tls) => tls.peerChainFingerprints1),
  DOWNSTREAM_PEER_CHAIN_SERIALS: list(downstream, (tls) => tls.peerChainSerials),
  DOWNSTREAM_PEER_CERT: field(downstream, pem),
  DOWNSTREAM_PEER_CERT_V_START: moment(downstream, (tls) => tls.peerValidFrom),
  DOWNSTREAM_PEER_CERT_V_END: moment(downstream, (tls) => tls.peerValidTo),
  DOWNSTREAM_LOCAL_SUBJECT: field(downstream, (tls) => tls.localSubject),
  DOWNSTREAM_LOCAL_URI_SAN: list(downstream, (tls) => tls.localUriSans),
  DOWNSTREAM_LOCAL_DNS_SAN: list(downstream, (tls) => tls.localDnsSans),
  DOWNSTREAM_LOCAL_IP_SAN: list(downstream, (tls) => tls.localIpSans),
  DOWNSTREAM_LOCAL_EMAIL_SAN: list(downstream, (tls) => tls.localEmailSans),
  DOWNSTREAM_LOCAL_OTHERNAME_SAN: list(downstream, (tls) => tls.localOthernameSans),
  DOWNSTREAM_TLS_GROUP: field(downstream, (tls) => tls.group),
  UPSTREAM_TLS_GROUP: field(upstream, (tls) => tls.group),
  UPSTREAM_SERVER_NAME: field(upstream, (tls) => tls.serverName),
  UPSTREAM_TLS_VERSION: field(upstream, (tls) => tls.version),
  UPSTREAM_TLS_CIPHER: field(upstream, (tls) => tls.cipher),
  UPSTREAM_TLS_SESSION_ID: field(upstream, (tls) => tls.sessionId),
  UPSTREAM_PEER_SUBJECT: field(upstream, (tls) => tls.peerSubject),
  UPSTREAM_PEER_ISSUER: field(upstream, (tls) => tls.peerIssuer),
  UPSTREAM_PEER_URI_SAN: list(upstream, (tls) => tls.peerUriSans),
  UPSTREAM_PEER_DNS_SAN: list(upstream, (tls) => tls.peerDnsSans),
  UPSTREAM_PEER_IP_SAN: list(upstream, (tls) => tls.peerIpSans),
  UPSTREAM_PEER_CERT: field(upstream, pem),
  UPSTREAM_PEER_CERT_V_START: moment(upstream, (tls) => tls.peerValidFrom),
  UPSTREAM_PEER_CERT_V_END: moment(upstream, (tls) => tls.peerValidTo),
  UPSTREAM_LOCAL_IP_SAN: list(upstream, (tls) => tls.localIpSans),
  UPSTREAM_LOCAL_URI_SAN: list(upstream, (tls) => tls.localUriSans),
  UPSTREAM_LOCAL_DNS_SAN: list(upstream, (tls) => tls.localDnsSans),
};
