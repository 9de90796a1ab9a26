import {
  type CertificateValidationContext,
  CertificateValidationContext_TrustChainVerification as Verification,
  CertificateValidationContextSchema,
  type DataSource,
  SPIFFECertValidatorConfigSchema,
  type SPIFFECertValidatorConfig,
  type StringMatcher,
  type SubjectAltNameMatcher,
  SubjectAltNameMatcher_SanType as SanType,
  unpackAnyAs,
} from '@dragoman/api';
import {
  CertificateValidator,
  type PeerValidator,
  type SanMatcher,
  SpiffeValidator,
  untypedSanMatchers,
} from '@dragoman/certificates';
import { atPath, ConfigError, refuseUnsupported } from '@dragoman/core';
import { compileStringMatcher } from '@dragoman/matching';
import { type SourceReader, sourcePath } from '@dragoman/secrets';
import { inlineHash } from './own-certificate.ts';

/** How peers are verified. */
export interface PeerValidation {
  readonly validator: PeerValidator;
  /** For `/certs`. */
  readonly path: string;
  /** For the names of stats. */
  readonly name: string;
  /** Each bundle of a SPIFFE validator has a gauge of its own. */
  readonly spiffe: boolean;
}

const NO_INSTANCE = 'certificate provider instances are not supported: give trusted_ca';
const REASONS = {
  ca_certificate_provider_instance: NO_INSTANCE,
  require_signed_certificate_timestamp: 'signed certificate timestamps are not supported; remove it',
};
const SUPPORTED = new Set([
  'trusted_ca',
  'system_root_certs',
  'watched_directory',
  'verify_certificate_spki',
  'verify_certificate_hash',
  'match_typed_subject_alt_names',
  'match_subject_alt_names',
  'crl',
  'allow_expired_certificate',
  'trust_chain_verification',
  'only_verify_leaf_cert_crl',
  'max_verify_depth',
  'custom_validator_config',
]);
const SPIFFE_SUPPORTED = new Set([
  'custom_validator_config',
  'watched_directory',
  'match_typed_subject_alt_names',
  'match_subject_alt_names',
  'allow_expired_certificate',
]);
const SPIFFE_REASONS = {
  ...REASONS,
  ...Object.fromEntries(
    [...SUPPORTED].map((field) => [
      field,
      'is not looked at where custom_validator_config is given; remove it',
    ]),
  ),
};
const SPIFFE_NAME = 'envoy.tls.cert_validator.spiffe';
const DEFAULT_NAME = 'envoy.tls.cert_validator.default';

/** As Envoy names a validation context without a name. */
export function unnamedAuthority({ trustedCa }: CertificateValidationContext): string {
  return trustedCa === undefined ? 'unnamed_ca_cert' : `unnamed_ca_cert_${inlineHash(trustedCa)}`;
}

const isSpiffe = ({ customValidatorConfig: custom }: CertificateValidationContext): boolean =>
  custom !== undefined && custom.name !== DEFAULT_NAME;

/**
 * Looks at which fields there are, also of one that a secret is to be merged into.
 * @throws ConfigError with paths below the CertificateValidationContext
 */
export function checkValidationFields(config: CertificateValidationContext): void {
  const [supported, reasons] = isSpiffe(config) ? [SPIFFE_SUPPORTED, SPIFFE_REASONS] : [SUPPORTED, REASONS];
  refuseUnsupported(config, CertificateValidationContextSchema, supported, '', reasons);
}

/**
 * @param autoSni `auto_sni_san_validation`
 * @throws ConfigError with paths below the CertificateValidationContext
 */
export function readPeerValidation(
  config: CertificateValidationContext,
  name: string,
  reader: SourceReader,
  autoSni: boolean,
): PeerValidation {
  reader.watch(config.watchedDirectory);
  if (isSpiffe(config)) {
    if (autoSni)
      throw ConfigError.at(
        'custom_validator_config',
        'auto_sni_san_validation is not looked at by it: remove one of them',
      );
    return { ...atPath('', () => readSpiffe(config, reader)), path: '<inline>', name, spiffe: true };
  }
  checkValidationFields(config);
  const read = (source: DataSource | undefined, field: string): Buffer | undefined =>
    source === undefined ? undefined : atPath(field, () => reader.read(source));
  const validator = new CertificateValidator({
    trustedCa: read(config.trustedCa, 'trusted_ca'),
    systemRootCerts: config.systemRootCerts !== undefined && config.trustedCa === undefined,
    crl: read(config.crl, 'crl'),
    onlyVerifyLeafCertCrl: config.onlyVerifyLeafCertCrl,
    allowExpiredCertificate: config.allowExpiredCertificate,
    trustChainVerification:
      config.trustChainVerification === Verification.ACCEPT_UNTRUSTED
        ? 'ACCEPT_UNTRUSTED'
        : 'VERIFY_TRUST_CHAIN',
    maxVerifyDepth: config.maxVerifyDepth,
    verifyCertificateHash: config.verifyCertificateHash,
    verifyCertificateSpki: config.verifyCertificateSpki,
    subjectAltNames: readSanMatchers(config),
    autoSniSanValidation: autoSni,
  });
  return { validator, path: sourcePath(config.trustedCa), name, spiffe: false };
}

const KINDS: Readonly<Record<number, SanMatcher['kind']>> = {
  [SanType.EMAIL]: 'email',
  [SanType.DNS]: 'dns',
  [SanType.URI]: 'uri',
  [SanType.IP_ADDRESS]: 'ip',
  [SanType.OTHER_NAME]: 'other',
};

/** The deprecated list counts only where the other one is empty, as in Envoy. */
function readSanMatchers(config: CertificateValidationContext): readonly SanMatcher[] {
  const { matchTypedSubjectAltNames: typed, matchSubjectAltNames: untyped } = config;
  if (typed.length > 0)
    return typed.map((matcher, i) => atPath(`match_typed_subject_alt_names[${i}]`, () => readTyped(matcher)));
  return untyped.flatMap((matcher, i) =>
    atPath(`match_subject_alt_names[${i}]`, () => untypedSanMatchers(compile(matcher), exactOf(matcher))),
  );
}

function readTyped({ sanType, matcher, oid }: SubjectAltNameMatcher): SanMatcher {
  const kind = KINDS[sanType];
  if (kind === undefined)
    throw ConfigError.at('san_type', 'is required: EMAIL, DNS, URI, IP_ADDRESS or OTHER_NAME');
  if (matcher === undefined) throw ConfigError.at('matcher', 'is required');
  const matches = atPath('matcher', () => compile(matcher));
  return { kind, oid: oid === '' ? undefined : oid, exact: exactOf(matcher), matches };
}

/** Names of certificates are text, and the text of a matcher is that too. */
const compile = (matcher: StringMatcher) => compileStringMatcher(matcher, { values: 'text' });

function exactOf({ matchPattern, ignoreCase }: StringMatcher): string | undefined {
  return matchPattern.case === 'exact' && !ignoreCase ? matchPattern.value : undefined;
}

function readSpiffe(
  config: CertificateValidationContext,
  reader: SourceReader,
): { readonly validator: PeerValidator } {
  checkValidationFields(config);
  const { name, typedConfig } = config.customValidatorConfig as NonNullable<
    CertificateValidationContext['customValidatorConfig']
  >;
  const message =
    typedConfig === undefined ? undefined : unpackAnyAs(typedConfig, SPIFFECertValidatorConfigSchema);
  if (message === undefined)
    throw ConfigError.at(
      'custom_validator_config',
      `the certificate validator "${name}" is not supported; there are ${SPIFFE_NAME} and ${DEFAULT_NAME}`,
    );
  return {
    validator: new SpiffeValidator(
      {
        trustDomains: readTrustDomains(message, reader),
        subjectAltNames: readSanMatchers(config),
        allowExpiredCertificate: config.allowExpiredCertificate,
      },
      'custom_validator_config.typed_config',
    ),
  };
}

function readTrustDomains(
  { trustDomains }: SPIFFECertValidatorConfig,
  reader: SourceReader,
): { readonly name: string; readonly trustBundle: Buffer }[] {
  return trustDomains.map(({ name, trustBundle }, i) => ({
    name,
    trustBundle: atPath(`custom_validator_config.typed_config.trust_domains[${i}].trust_bundle`, () => {
      if (trustBundle === undefined) throw ConfigError.at('', 'is required');
      return reader.read(trustBundle);
    }),
  }));
}
