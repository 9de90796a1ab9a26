/**
 * What goes wrong with a peer's certificate, Envoy's words for it, and the counter that it is charged to. A table, so that what
 * operators grep for stays the same whatever library checked the certificate.
 *
 * Sources: `X509_verify_cert_error_string` of BoringSSL (chain), `default_validator.cc`, `spiffe_validator.cc` and `ssl_socket.cc` of
 * Envoy (the rest). Rows with `own` have no words there, because Envoy has no such failure; they have OpenSSL's where it has.
 */
export interface FailureRow {
  readonly text: string;
  /** `chain`: the text stands behind the depth of a certificate in the chain. `peer`: it is about the leaf. */
  readonly about: 'chain' | 'peer' | 'nothing';
  readonly counter: FailureCounter;
  readonly own?: true;
}

/** Counters of `ssl.`, below the listener or cluster. */
export type FailureCounter =
  | 'fail_verify_no_cert'
  | 'fail_verify_error'
  | 'fail_verify_san'
  | 'fail_verify_cert_hash';

/** Why a peer's certificate was refused. A closed list. */
export type CertificateFailure =
  | 'no_certificate'
  | 'unable_to_get_issuer_locally'
  | 'unable_to_get_issuer'
  | 'self_signed'
  | 'self_signed_in_chain'
  | 'expired'
  | 'not_yet_valid'
  | 'signature_failure'
  | 'invalid_ca'
  | 'path_length_exceeded'
  | 'unsupported_purpose'
  | 'unhandled_critical_extension'
  | 'invalid_extension'
  | 'no_explicit_policy'
  | 'revoked'
  | 'no_crl'
  | 'crl_expired'
  | 'crl_not_yet_valid'
  | 'crl_signature_failure'
  | 'crl_signing_not_allowed'
  | 'crl_scope'
  | 'crl_unhandled_critical_extension'
  | 'name_not_permitted'
  | 'name_excluded'
  | 'constraint_bounds'
  | 'constraint_type_unsupported'
  | 'constraint_syntax'
  | 'name_syntax'
  | 'constraints_without_sans'
  | 'constraints_too_many'
  | 'weak_key'
  | 'weak_authority_key'
  | 'weak_signature'
  | 'malformed'
  | 'chain_too_long'
  | 'san_list'
  | 'san_matcher'
  | 'certificate_hash'
  | 'spiffe_precheck'
  | 'spiffe_trust_domain'
  | 'spiffe_san';

const chain = (text: string): FailureRow => ({ text, about: 'chain', counter: 'fail_verify_error' });
const ownChain = (text: string): FailureRow => ({ ...chain(text), own: true });
const peer = (text: string, counter: FailureCounter): FailureRow => ({ text, about: 'peer', counter });

export const FAILURE_TABLE: Readonly<Record<CertificateFailure, FailureRow>> = {
  no_certificate: {
    text: 'peer did not provide required client certificate',
    about: 'nothing',
    counter: 'fail_verify_no_cert',
  },

  unable_to_get_issuer_locally: chain('unable to get local issuer certificate'),
  unable_to_get_issuer: chain('unable to get issuer certificate'),
  self_signed: chain('self signed certificate'),
  self_signed_in_chain: chain('self signed certificate in certificate chain'),
  expired: chain('certificate has expired'),
  not_yet_valid: chain('certificate is not yet valid'),
  signature_failure: chain('certificate signature failure'),
  invalid_ca: chain('invalid CA certificate'),
  path_length_exceeded: chain('path length constraint exceeded'),
  unsupported_purpose: chain('unsupported certificate purpose'),
  unhandled_critical_extension: chain('unhandled critical extension'),
  invalid_extension: chain('invalid or inconsistent certificate extension'),
  no_explicit_policy: chain('no explicit policy'),

  revoked: chain('certificate revoked'),
  no_crl: chain('unable to get certificate CRL'),
  crl_expired: chain('CRL has expired'),
  crl_not_yet_valid: chain('CRL is not yet valid'),
  crl_signature_failure: chain('CRL signature failure'),
  crl_signing_not_allowed: chain('key usage does not include CRL signing'),
  crl_scope: chain('Different CRL scope'),
  crl_unhandled_critical_extension: chain('unhandled critical CRL extension'),

  name_not_permitted: chain('permitted subtree violation'),
  name_excluded: chain('excluded subtree violation'),
  constraint_bounds: chain('name constraints minimum and maximum not supported'),
  constraint_type_unsupported: chain('unsupported name constraint type'),
  constraint_syntax: chain('unsupported or invalid name constraint syntax'),
  name_syntax: chain('unsupported or invalid name syntax'),
  constraints_without_sans: chain('Issuer has name constraints but leaf has no SANs'),
  constraints_too_many: chain('unknown certificate verification error'),

  weak_key: ownChain('EE certificate key too weak'),
  weak_authority_key: ownChain('CA certificate key too weak'),
  weak_signature: ownChain('CA signature digest algorithm too weak'),
  malformed: ownChain('malformed certificate'),
  chain_too_long: ownChain('certificate chain too long'),

  san_list: peer('verify SAN list', 'fail_verify_san'),
  san_matcher: peer('SAN matcher', 'fail_verify_san'),
  certificate_hash: peer('cert hash and spki', 'fail_verify_cert_hash'),

  spiffe_precheck: peer('cert precheck', 'fail_verify_error'),
  spiffe_trust_domain: peer('no trust bundle store', 'fail_verify_error'),
  spiffe_san: peer('SAN match', 'fail_verify_san'),
};

/** Reasons of BoringSSL (library 16, SSL) as the number that Envoy prints, and their names. */
const VERIFY_FAILED = '268435581:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED';
const NO_CERTIFICATE = '268435648:SSL routines:OPENSSL_internal:PEER_DID_NOT_RETURN_A_CERTIFICATE';

/** What Envoy has for `transport_failure_reason`. Access logs write `_` in place of blanks. */
export function transportFailureReason(failure: {
  readonly reason: CertificateFailure;
  readonly detail: string;
}): string {
  const error = failure.reason === 'no_certificate' ? NO_CERTIFICATE : VERIFY_FAILED;
  return `TLS_error:|${error}:${failure.detail}:TLS_error_end`;
}
