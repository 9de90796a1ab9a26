import { createHash, type KeyObject } from 'node:crypto';
import { type DataSource, type TlsCertificate, TlsCertificateSchema } from '@dragoman/api';
import {
  type Certificate,
  type CertificateDetails,
  detailsOf,
  keyMatches,
  type OcspResponse,
  readCertificates,
  readOcspResponse,
  readPkcs12,
  readPrivateKey,
  type Result,
  writePem,
} from '@dragoman/certificates';
import { atPath, ConfigError, refuseUnsupported } from '@dragoman/core';
import { type SourceReader, sourcePath } from '@dragoman/secrets';
import { serverNames } from './server-names.ts';

/** A certificate that this side shows, with its key. */
export interface OwnCertificate {
  readonly leaf: Certificate;
  readonly details: CertificateDetails;
  /** As they are sent, the own one first. */
  readonly chainPem: string;
  readonly keyPem: string;
  /** For `/certs`. */
  readonly path: string;
  /** For the names of stats. */
  readonly name: string;
  /** Where it stands in the config. */
  readonly configPath: string;
  /** The number of the group that an elliptic key is of; undefined for other keys. */
  readonly curve: number | undefined;
  /** Whom it is for: exact names, and `.example.com` for `*.example.com`. In lower case. */
  readonly serverNames: readonly string[];
  readonly ocsp: OcspResponse | undefined;
  /** Signature algorithms of its key that the default list lacks. */
  readonly extraAlgorithms: readonly string[];
}

const SUPPORTED = new Set([
  'certificate_chain',
  'private_key',
  'pkcs12',
  'watched_directory',
  'password',
  'ocsp_staple',
]);
const REASONS = {
  private_key_provider:
    'keys that are used elsewhere (TPM, QAT, cryptomb) are not supported: give private_key',
  signed_certificate_timestamp: 'signed certificate timestamps are not supported; remove it',
};

/** Of `TlsCertificate.certificate_chain.inline_bytes`, as Envoy names certificates without a name: the same for all other sources. */
export function unnamedCertificate({ certificateChain }: TlsCertificate): string {
  return certificateChain === undefined ? 'unnamed_cert_' : `unnamed_cert_${inlineHash(certificateChain)}`;
}

export function inlineHash({ specifier }: DataSource): string {
  const bytes = specifier.case === 'inlineBytes' ? specifier.value : new Uint8Array();
  return createHash('sha256').update(bytes).digest('hex').slice(0, 8);
}

/**
 * Reads a certificate and its key.
 * @param origin its name in stats, and where it stands
 * @throws ConfigError with paths below the TlsCertificate
 */
export function readOwnCertificate(
  config: TlsCertificate,
  { name, path: configPath }: { readonly name: string; readonly path: string },
  reader: SourceReader,
): OwnCertificate {
  refuseUnsupported(config, TlsCertificateSchema, SUPPORTED, '', REASONS);
  reader.watch(config.watchedDirectory);
  const { chain, key, source } =
    config.pkcs12 === undefined ? readPair(config, reader) : readPfx(config, reader);
  const [leaf] = chain as [Certificate];
  const details = detailsOf(leaf);
  checkKeyType(details, source);
  return {
    leaf,
    details,
    chainPem: chain.map(({ der }) => writePem('CERTIFICATE', der)).join(''),
    keyPem: key.export({ type: 'pkcs8', format: 'pem' }) as string,
    path: sourcePath(config.pkcs12 ?? config.certificateChain),
    name,
    configPath,
    curve: curveOf(details),
    serverNames: serverNames(leaf),
    ocsp: readStaple(config.ocspStaple, reader),
    extraAlgorithms: EXTRA_ALGORITHMS[algorithmKind(details)] ?? [],
  };
}

interface ChainAndKey {
  readonly chain: readonly Certificate[];
  readonly key: KeyObject;
  /** The field that the certificate stands in. */
  readonly source: 'certificate_chain' | 'pkcs12';
}

function readPair(config: TlsCertificate, reader: SourceReader): ChainAndKey {
  const { certificateChain, privateKey } = config;
  if (certificateChain === undefined)
    throw ConfigError.at('certificate_chain', 'is required (or pkcs12): a certificate in PEM');
  if (privateKey === undefined)
    throw ConfigError.at('private_key', 'is required: the key of certificate_chain in PEM');
  const chain = atPath('certificate_chain', () =>
    take(
      readCertificates(reader.read(certificateChain)),
      'Failed to load certificate chain from',
      certificateChain,
    ),
  );
  const password = readPassword(config, reader);
  const key = atPath('private_key', () =>
    take(readPrivateKey(reader.read(privateKey), password), 'Failed to load private key from', privateKey),
  );
  const [leaf] = chain as [Certificate];
  if (!keyMatches(leaf, key))
    throw ConfigError.at(
      'private_key',
      `Failed to load private key from ${sourcePath(privateKey)}: it is not the key of the certificate in ${sourcePath(certificateChain)}`,
    );
  return { chain, key, source: 'certificate_chain' };
}

function readPfx(config: TlsCertificate, reader: SourceReader): ChainAndKey {
  const { pkcs12 } = config;
  if (config.certificateChain !== undefined)
    throw ConfigError.at('pkcs12', "Certificate configuration can't have both pkcs12 and certificate_chain");
  if (config.privateKey !== undefined)
    throw ConfigError.at('pkcs12', "Certificate configuration can't have both pkcs12 and private_key");
  const password = readPassword(config, reader);
  const { certificates, privateKey } = atPath('pkcs12', () =>
    take(readPkcs12(reader.read(pkcs12 as DataSource), password), 'Failed to load pkcs12 from', pkcs12),
  );
  const [leaf] = certificates;
  if (privateKey === undefined || leaf === undefined || !keyMatches(leaf, privateKey))
    throw ConfigError.at(
      'pkcs12',
      `Failed to load pkcs12 from ${sourcePath(pkcs12)}: it has no private key with its certificate`,
    );
  return { chain: certificates, key: privateKey, source: 'pkcs12' };
}

function readPassword({ password }: TlsCertificate, reader: SourceReader): string | undefined {
  if (password === undefined) return undefined;
  return atPath('password', () => reader.read(password).toString('utf8'));
}

function take<T>(result: Result<T>, what: string, source: DataSource | undefined): T {
  if (!result.ok) throw ConfigError.at('', `${what} ${sourcePath(source)}: ${result.error}`);
  return result.value;
}

const MIN_RSA_BITS = 2048;
const CURVES: ReadonlyMap<string, number> = new Map([
  ['prime256v1', 23],
  ['secp384r1', 24],
  ['secp521r1', 25],
]);

function curveOf({ keyType }: CertificateDetails): number | undefined {
  return keyType.kind === 'ecdsa' ? CURVES.get(keyType.curve) : undefined;
}

/** Envoy's limits. */
function checkKeyType(details: CertificateDetails, field: string): void {
  const { keyType } = details;
  if (keyType.kind === 'rsa' && keyType.bits < MIN_RSA_BITS)
    throw ConfigError.at(
      field,
      `only RSA certificates with 2048-bit or larger keys are supported, not ${keyType.bits}`,
    );
  if (keyType.kind === 'ecdsa' && curveOf(details) === undefined)
    throw ConfigError.at(
      field,
      `only P-256, P-384 or P-521 ECDSA certificates are supported, not ${keyType.curve}`,
    );
  if (keyType.kind === 'other')
    throw ConfigError.at(field, `certificates with keys of type ${keyType.name} are not supported`);
}

/** BoringSSL signs with more than it verifies by default. */
const EXTRA_ALGORITHMS: Readonly<Record<string, readonly string[]>> = {
  secp521r1: ['ecdsa_secp521r1_sha512'],
  ed25519: ['ed25519'],
};

function algorithmKind({ keyType }: CertificateDetails): string {
  return keyType.kind === 'ecdsa' ? keyType.curve : keyType.kind;
}

function readStaple(source: DataSource | undefined, reader: SourceReader): OcspResponse | undefined {
  if (source === undefined) return undefined;
  return atPath('ocsp_staple', () => {
    if (source.specifier.case === 'inlineString')
      throw ConfigError.at('inline_string', 'OCSP staple cannot be provided via inline_string');
    const bytes = reader.read(source);
    return bytes.length === 0
      ? undefined
      : take(readOcspResponse(bytes), 'Failed to load OCSP response from', source);
  });
}
