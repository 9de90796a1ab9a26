import {
  type CertificateValidationContext,
  CertificateValidationContextSchema,
  CommonTlsContext_CombinedCertificateValidationContextSchema as CombinedSchema,
  type CommonTlsContext,
  CommonTlsContextSchema,
  mergeMessages,
} from '@dragoman/api';
import { atPath, ConfigError, type FactoryContext, type Logger, refuseUnsupported } from '@dragoman/core';
import {
  inlineSecret,
  namedSecret,
  readAll,
  type SecretRef,
  type SourceReader,
  useSecret,
} from '@dragoman/secrets';
import {
  type OwnCertificate,
  readOwnCertificate,
  unnamedCertificate,
} from './certificates/own-certificate.ts';
import {
  checkValidationFields,
  type PeerValidation,
  readPeerValidation,
  unnamedAuthority,
} from './certificates/peer-validation.ts';
import { KeyLog } from './key-log.ts';
import { readTlsParams, type TlsParams } from './params/tls-params.ts';

/** What both sides have in common, compiled as far as it never changes. */
export interface CommonContext {
  readonly params: TlsParams;
  /** In the order of preference; empty for no ALPN. */
  readonly alpn: readonly string[];
  readonly keyLog: KeyLog | undefined;
  readonly certificates: readonly SecretRef<'tlsCertificate'>[];
  readonly validation: SecretRef<'validationContext'> | undefined;
}

/** What the files and secrets hold now. */
export interface Material {
  readonly certificates: readonly OwnCertificate[];
  readonly validation: PeerValidation | undefined;
}

const SUPPORTED = new Set([
  'tls_params',
  'tls_certificates',
  'tls_certificate_sds_secret_configs',
  'validation_context',
  'validation_context_sds_secret_config',
  'combined_validation_context',
  'alpn_protocols',
  'key_log',
]);
const PROVIDERS =
  'certificate providers are not supported: give the certificates here, in secrets or in files';
const REASONS = {
  tls_certificate_provider_instance: PROVIDERS,
  tls_certificate_certificate_provider: PROVIDERS,
  tls_certificate_certificate_provider_instance: PROVIDERS,
  validation_context_certificate_provider: PROVIDERS,
  validation_context_certificate_provider_instance: PROVIDERS,
  custom_handshaker: 'handshakers of other kinds are not supported: TLS is that of Node; remove it',
};

/** Where it stands, on both sides. The paths of secrets begin with it. */
const COMMON = 'common_tls_context';

/** @throws ConfigError with paths below the CommonTlsContext */
export function readCommonContext(
  config: CommonTlsContext | undefined,
  side: 'server' | 'client',
  context: Pick<FactoryContext, 'secrets'>,
  logger: Logger,
): CommonContext {
  if (config !== undefined) refuseUnsupported(config, CommonTlsContextSchema, SUPPORTED, '', REASONS);
  const alpn = config?.alpnProtocols ?? [];
  for (const [i, protocol] of alpn.entries()) checkProtocol(protocol, `alpn_protocols[${i}]`);
  const keyLog = config?.keyLog;
  return {
    params: atPath('tls_params', () => readTlsParams(config?.tlsParams, side)),
    alpn: alpn.flatMap((protocols) => protocols.split(',')),
    certificates: config === undefined ? [] : certificateRefs(config, context),
    validation: config === undefined ? undefined : validationRef(config, context),
    keyLog: keyLog === undefined ? undefined : atPath('key_log', () => new KeyLog(keyLog, logger)),
  };
}

/** Envoy joins the list with commas and takes it apart again, so that `h2,http/1.1` is two. */
function checkProtocol(protocols: string, path: string): void {
  for (const protocol of protocols.split(','))
    if (protocol === '' || Buffer.byteLength(protocol) > 255)
      throw ConfigError.at(path, 'Invalid ALPN protocol string: a protocol has 1 to 255 bytes');
}

function certificateRefs(
  config: CommonTlsContext,
  context: Pick<FactoryContext, 'secrets'>,
): SecretRef<'tlsCertificate'>[] {
  const { tlsCertificates, tlsCertificateSdsSecretConfigs: named } = config;
  if (tlsCertificates.length > 0 && named.length > 0)
    throw ConfigError.at(
      'tls_certificate_sds_secret_configs',
      'SDS and non-SDS TLS certificates may not be mixed: remove one of the two lists',
    );
  return [
    ...tlsCertificates.map((certificate, i) =>
      inlineSecret(
        'tlsCertificate',
        certificate,
        unnamedCertificate(certificate),
        `${COMMON}.tls_certificates[${i}]`,
      ),
    ),
    ...named.map((secret, i) => {
      const path = `tls_certificate_sds_secret_configs[${i}]`;
      return atPath(path, () => namedSecret(secret, 'tlsCertificate', `${COMMON}.${path}`, context));
    }),
  ];
}

function validationRef(
  config: CommonTlsContext,
  context: Pick<FactoryContext, 'secrets'>,
): SecretRef<'validationContext'> | undefined {
  const { validationContextType: type } = config;
  switch (type.case) {
    case 'validationContext':
      return inlineSecret(
        'validationContext',
        type.value,
        unnamedAuthority(type.value),
        `${COMMON}.validation_context`,
      );
    case 'validationContextSdsSecretConfig': {
      const path = 'validation_context_sds_secret_config';
      return atPath(path, () => namedSecret(type.value, 'validationContext', `${COMMON}.${path}`, context));
    }
    case 'combinedValidationContext':
      return atPath('combined_validation_context', () => combined(type.value, context));
    default:
      return undefined;
  }
}

const COMBINED = new Set(['default_validation_context', 'validation_context_sds_secret_config']);

type Combined = Extract<
  CommonTlsContext['validationContextType'],
  { case: 'combinedValidationContext' }
>['value'];

function combined(
  config: Combined,
  context: Pick<FactoryContext, 'secrets'>,
): SecretRef<'validationContext'> {
  refuseUnsupported(config, CombinedSchema, COMBINED, '', {
    validation_context_certificate_provider: PROVIDERS,
    validation_context_certificate_provider_instance: PROVIDERS,
  });
  const { defaultValidationContext: base, validationContextSdsSecretConfig: secret } = config;
  if (base === undefined) throw ConfigError.at('default_validation_context', 'is required');
  if (secret === undefined) throw ConfigError.at('validation_context_sds_secret_config', 'is required');
  atPath('default_validation_context', () => checkValidationFields(base));
  const found = atPath('validation_context_sds_secret_config', () =>
    namedSecret(secret, 'validationContext', `${COMMON}.combined_validation_context`, context),
  );
  return {
    ...found,
    get(reader): CertificateValidationContext {
      const dynamic = found.get(reader);
      return mergeMessages(CertificateValidationContextSchema, base, dynamic);
    },
  };
}

/** What logs call it. */
export const TLS_CONTEXT = { what: 'TLS', noun: 'TLS context' } as const;

/** What of it comes from secrets. */
export function secretsOf({ certificates, validation }: CommonContext): SecretRef[] {
  return validation === undefined ? [...certificates] : [...certificates, validation];
}

/**
 * Reads what the secrets and files hold now.
 * @param autoSni `auto_sni_san_validation`
 * @throws ConfigError with paths from `common_tls_context` on, SecretNotReady, SecretRefused
 */
export function readMaterial(common: CommonContext, autoSni: boolean, reader: SourceReader): Material {
  const { certificates, validation: authority } = common;
  const [own, validation] = readAll<[OwnCertificate[], PeerValidation | undefined]>(
    () =>
      readAll(
        ...certificates.map(
          (ref) => () => useSecret(ref, reader, (config) => readOwnCertificate(config, ref, reader)),
        ),
      ),
    () =>
      authority &&
      useSecret(authority, reader, (config) => readPeerValidation(config, authority.name, reader, autoSni)),
  );
  return { certificates: own, validation };
}
