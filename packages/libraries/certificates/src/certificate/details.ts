import type { Result } from '../result.ts';
import { type Certificate, readCertificate } from './certificate.ts';
import type { AlternativeName, GeneralName, SanKind } from './general-name.ts';
import { type KeyType, keyTypeOf } from './key-type.ts';
import { formatName } from './rfc2253.ts';

/** What access logs, `x-forwarded-client-cert`, matchers and `/certs` say of a certificate. Times are wall time in ms. */
export interface CertificateDetails {
  /** RFC 2253, as Envoy prints it: `CN=a,O=b`. Empty when the subject is. */
  readonly subject: string;
  readonly issuer: string;
  /** In lower-case hex, two digits a byte, as Envoy prints it: `0a2f`. */
  readonly serialNumber: string;
  /** Lower-case hex. */
  readonly fingerprint256: string;
  readonly fingerprint1: string;
  readonly validFrom: number;
  readonly validTo: number;
  readonly keyType: KeyType;
  /** Subject alternative names as they stand in the certificate. Only those that rules may match: see `unusableSans`. */
  readonly dnsSans: readonly string[];
  readonly uriSans: readonly string[];
  readonly ipSans: readonly string[];
  readonly emailSans: readonly string[];
  readonly otherNameSans: readonly string[];
  /** Names of any kind with a NUL within, or that are no text: for people to look at, and for no rule, header or list. */
  readonly unusableSans: readonly string[];
  /** The certificate wants an OCSP response stapled (RFC 7633). */
  readonly mustStaple: boolean;
}

/** Never throws: what is no certificate is a result that says why. */
export function readCertificateDetails(der: Buffer): Result<CertificateDetails> {
  const certificate = readCertificate(der);
  return certificate.ok ? { ok: true, value: detailsOf(certificate.value) } : certificate;
}

const STATUS_REQUEST = 5;

export function detailsOf(certificate: Certificate): CertificateDetails {
  return {
    subject: formatName(certificate.subject),
    issuer: formatName(certificate.issuer),
    serialNumber: serialText(certificate.serial),
    fingerprint256: certificate.fingerprint('sha256'),
    fingerprint1: certificate.fingerprint('sha1'),
    validFrom: certificate.notBefore,
    validTo: certificate.notAfter,
    keyType: keyTypeOf(certificate.publicKey),
    dnsSans: sansOf(certificate, 'dns'),
    uriSans: sansOf(certificate, 'uri'),
    ipSans: sansOf(certificate, 'ip'),
    emailSans: sansOf(certificate, 'email'),
    otherNameSans: sansOf(certificate, 'other'),
    unusableSans: alternativeNames(certificate).flatMap(({ matchable, text }) => (matchable ? [] : [text])),
    mustStaple: certificate.known.tlsFeatures.includes(STATUS_REQUEST),
  };
}

/** The names that are text, or that Envoy makes text of. */
export function alternativeNames(certificate: Certificate): AlternativeName[] {
  return (certificate.known.subjectAltName ?? []).filter(isAlternative);
}

function isAlternative(name: GeneralName): name is AlternativeName {
  return name.kind !== 'directory' && name.kind !== 'unsupported';
}

function sansOf(certificate: Certificate, kind: SanKind): string[] {
  return alternativeNames(certificate)
    .filter((name) => name.kind === kind && name.matchable)
    .map(({ text }) => text);
}

/** An INTEGER as BoringSSL's BN_bn2hex has it: two digits a byte from the first that is not zero, a sign before. */
export function serialText(serial: Buffer): string {
  const negative = (serial[0] ?? 0) >= 0x80;
  const value = BigInt(`0x${serial.toString('hex') || '0'}`);
  const magnitude = negative ? (1n << BigInt(serial.length * 8)) - value : value;
  if (magnitude === 0n) return '0';
  const hex = magnitude.toString(16);
  return `${negative ? '-' : ''}${hex.length % 2 === 1 ? '0' : ''}${hex}`;
}

const DAY_SECONDS = 86_400;

/**
 * Whole days until a certificate expires, as Envoy counts them: seconds are cut off, then the days. Undefined when it has expired;
 * `/certs` shows 0 then.
 * @param validTo wall time in ms
 * @param nowMs wall time in ms
 */
export function daysUntilExpiration(validTo: number, nowMs: number): number | undefined {
  const seconds = Math.floor(validTo / 1000) - Math.floor(nowMs / 1000);
  return seconds < 0 ? undefined : Math.floor(seconds / DAY_SECONDS);
}
