import { ConfigError, joinPath } from '@dragoman/core';
import type { CertificateList } from '../certificate/certificate-list.ts';
import type { Certificate } from '../certificate/certificate.ts';
import { type Bundle, readBundle } from '../files/bundles.ts';
import { RevocationLists, type RevocationRules } from './revocation.ts';
import type { SanMatcher } from './san-matcher.ts';
import { systemTrustStore, TrustStore } from './trust-store.ts';

/** `extensions.transport_sockets.tls.v3.CertificateValidationContext`, with its files read. */
export interface ValidatorConfig {
  /** PEM of the authorities, and of CRLs among them. Absent: chains are not checked. */
  readonly trustedCa?: string | Buffer | undefined;
  /** The authorities of the operating system are trusted, besides `trustedCa`. Default false. */
  readonly systemRootCerts?: boolean | undefined;
  /** PEM of CRLs. With any, each certificate of a chain needs one of its issuer. */
  readonly crl?: string | Buffer | undefined;
  /** Only the peer's own certificate needs a CRL. Default false. */
  readonly onlyVerifyLeafCertCrl?: boolean | undefined;
  /** Times of certificates and CRLs are not looked at; all else is. Default false. */
  readonly allowExpiredCertificate?: boolean | undefined;
  /** Default `VERIFY_TRUST_CHAIN`. */
  readonly trustChainVerification?: 'VERIFY_TRUST_CHAIN' | 'ACCEPT_UNTRUSTED' | undefined;
  /** Authorities that may stand above the leaf, 0 to 100 (0 counts as 1). Default 100. */
  readonly maxVerifyDepth?: number | undefined;
  /** SHA-256 of certificates in hex, with or without colons. */
  readonly verifyCertificateHash?: readonly string[] | undefined;
  /** SHA-256 of SubjectPublicKeyInfos in base64. */
  readonly verifyCertificateSpki?: readonly string[] | undefined;
  /** `match_typed_subject_alt_names`: one has to match. See `untypedSanMatchers` for the deprecated field. */
  readonly subjectAltNames?: readonly SanMatcher[] | undefined;
  /** `auto_sni_san_validation`: the SNI stands in place of `subjectAltNames`. Default false. */
  readonly autoSniSanValidation?: boolean | undefined;
}

/** A config, compiled. */
export interface CompiledRules {
  readonly store: TrustStore | undefined;
  readonly revocation: RevocationRules | undefined;
  readonly allowExpired: boolean;
  readonly acceptUntrusted: boolean;
  /** In certificates, with leaf and authority. */
  readonly maxPathLength: number;
  /** Lower-case hex. */
  readonly hashes: ReadonlySet<string>;
  readonly spkis: ReadonlySet<string>;
  readonly matchers: readonly SanMatcher[];
  readonly autoSni: boolean;
}

const DEFAULT_DEPTH = 100;

export function compileRules(config: ValidatorConfig, path: string): CompiledRules {
  const at = (field: string) => joinPath(path, field);
  const trusted =
    config.trustedCa === undefined ? undefined : readTrustedCa(config.trustedCa, at('trusted_ca'));
  const lists = [...(trusted?.crls ?? []), ...readCrls(config.crl, at('crl'))];
  const store = storeOf(config, trusted);
  if (store === undefined) refuseWithoutStore(config, at);
  refuseMatchersWithoutOid(config.subjectAltNames, at('match_typed_subject_alt_names'));
  const depth = config.maxVerifyDepth ?? DEFAULT_DEPTH;
  if (!Number.isInteger(depth) || depth < 0 || depth > DEFAULT_DEPTH)
    throw ConfigError.at(at('max_verify_depth'), `${depth} is not a whole number from 0 to ${DEFAULT_DEPTH}`);
  return {
    store,
    revocation:
      lists.length === 0
        ? undefined
        : { lists: new RevocationLists(lists), onlyLeaf: config.onlyVerifyLeafCertCrl ?? false },
    allowExpired: config.allowExpiredCertificate ?? false,
    acceptUntrusted: config.trustChainVerification === 'ACCEPT_UNTRUSTED',
    maxPathLength: Math.max(depth, 1) + 1,
    hashes: new Set(
      (config.verifyCertificateHash ?? []).map((hash, i) =>
        readHash(hash, at(`verify_certificate_hash[${i}]`)),
      ),
    ),
    spkis: new Set(
      (config.verifyCertificateSpki ?? []).map((hash, i) =>
        readSpki(hash, at(`verify_certificate_spki[${i}]`)),
      ),
    ),
    matchers: config.subjectAltNames ?? [],
    autoSni: config.autoSniSanValidation ?? false,
  };
}

/** Reads what is to be trusted. One certificate that cannot be read, or that could never be valid, refuses all. */
export function readTrustedCa(source: string | Buffer, path: string): Bundle {
  const bundle = readBundle(source);
  if (!bundle.ok) throw ConfigError.at(path, `not a bundle of certificates: ${bundle.error}`);
  const { certificates } = bundle.value;
  if (certificates.length === 0) throw ConfigError.at(path, 'holds no certificate');
  const broken = certificates.findIndex((one) => one.brokenExtension !== undefined);
  if (broken >= 0)
    throw ConfigError.at(
      path,
      `certificate ${broken + 1}: ${(certificates[broken] as Certificate).brokenExtension}`,
    );
  return bundle.value;
}

function readCrls(source: string | Buffer | undefined, path: string): readonly CertificateList[] {
  if (source === undefined) return [];
  const bundle = readBundle(source.toString());
  if (!bundle.ok) throw ConfigError.at(path, `not a list of CRLs in PEM: ${bundle.error}`);
  if (bundle.value.crls.length === 0) throw ConfigError.at(path, 'holds no CRL');
  return bundle.value.crls;
}

function storeOf(config: ValidatorConfig, trusted: Bundle | undefined): TrustStore | undefined {
  if (config.systemRootCerts !== true)
    return trusted === undefined ? undefined : new TrustStore(trusted.certificates);
  const system = systemTrustStore();
  return trusted === undefined ? system : new TrustStore([...trusted.certificates, ...system.certificates]);
}

/** Envoy's own refusals: each of these would look like a check and be none. */
function refuseWithoutStore(config: ValidatorConfig, at: (field: string) => string): void {
  if (config.crl !== undefined)
    throw ConfigError.at(at('crl'), 'needs trusted_ca: without one no chain is checked');
  if ((config.subjectAltNames?.length ?? 0) > 0)
    throw ConfigError.at(
      at('match_typed_subject_alt_names'),
      'needs trusted_ca: SAN-based verification of peer certificates without trusted CA is insecure and not allowed',
    );
  if (config.allowExpiredCertificate === true)
    throw ConfigError.at(
      at('allow_expired_certificate'),
      'needs trusted_ca: certificate validity period is always ignored without trusted CA',
    );
  if (config.autoSniSanValidation === true)
    throw ConfigError.at(at('auto_sni_san_validation'), 'needs trusted_ca');
}

function refuseMatchersWithoutOid(matchers: readonly SanMatcher[] | undefined, path: string): void {
  const i = (matchers ?? []).findIndex(
    ({ kind, oid }) => kind === 'other' && !/^\d+(\.\d+)+$/.test(oid ?? ''),
  );
  if (i >= 0)
    throw ConfigError.at(`${path}[${i}].oid`, 'needed for OTHER_NAME, in dots: 1.3.6.1.4.1.311.20.2.3');
}

const COLONS = /^[0-9a-f]{2}(:[0-9a-f]{2}){31}$/i;
const HEX = /^[0-9a-f]{64}$/i;

function readHash(hash: string, path: string): string {
  if (!HEX.test(hash) && !COLONS.test(hash))
    throw ConfigError.at(path, `not a SHA-256 in hex, with or without colons: ${hash}`);
  return hash.replaceAll(':', '').toLowerCase();
}

function readSpki(hash: string, path: string): string {
  if (!/^[A-Za-z0-9+/]{43}=$/.test(hash)) throw ConfigError.at(path, `not a SHA-256 in base64: ${hash}`);
  return Buffer.from(hash, 'base64').toString('hex');
}
