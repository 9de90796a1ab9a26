export { Certificate, readCertificate } from './certificate/certificate.ts';
export { type CertificateList, readCertificateList } from './certificate/certificate-list.ts';
export {
  alternativeNames,
  type CertificateDetails,
  daysUntilExpiration,
  detailsOf,
  readCertificateDetails,
} from './certificate/details.ts';
export type { AlternativeName, GeneralName, SanKind } from './certificate/general-name.ts';
export { type KeyType, keyTypeOf } from './certificate/key-type.ts';
export type { DistinguishedName } from './certificate/name.ts';
export { formatName } from './certificate/rfc2253.ts';
export { type Bundle, readBundle, readCertificates } from './files/bundles.ts';
export { type PemBlock, readPem, writePem } from './files/pem.ts';
export { type Pkcs12, readPkcs12 } from './files/pkcs12.ts';
export { keyMatches, readPrivateKey } from './files/private-key.ts';
export {
  type OcspResponse,
  type OcspStatus,
  ocspExpired,
  ocspFits,
  readOcspResponse,
} from './ocsp/response.ts';
export {
  type OcspStapleAction,
  type OcspStaplePolicy,
  ocspConfigProblem,
  ocspStapleAction,
  type StapleQuestion,
} from './ocsp/staple-policy.ts';
export type { Result } from './result.ts';
export { dnsNameMatch } from './validation/dns-name-match.ts';
export type { VerificationFailure } from './validation/failure.ts';
export {
  type CertificateFailure,
  FAILURE_TABLE,
  type FailureCounter,
  type FailureRow,
  transportFailureReason,
} from './validation/failure-table.ts';
export type { PeerPurpose } from './validation/path-checks.ts';
export { type SanMatcher, untypedSanMatchers } from './validation/san-matcher.ts';
export { extractTrustDomain, type SpiffeConfig, SpiffeValidator } from './validation/spiffe.ts';
export { systemTrustStore, TrustStore } from './validation/trust-store.ts';
export {
  CertificateValidator,
  type PeerValidator,
  type VerifyMode,
  type VerifyOptions,
  type VerifyResult,
} from './validation/validator.ts';
export type { ValidatorConfig } from './validation/validator-config.ts';
