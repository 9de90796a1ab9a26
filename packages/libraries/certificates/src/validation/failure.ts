import type { Certificate } from '../certificate/certificate.ts';
import { alternativeNames } from '../certificate/details.ts';
import { type CertificateFailure, FAILURE_TABLE } from './failure-table.ts';

/** A certificate that was refused. */
export interface VerificationFailure {
  readonly reason: CertificateFailure;
  /** Which certificate of the chain it is about: 0 is the leaf. */
  readonly depth: number;
  /** Envoy's words for it, the part of `transport_failure_reason` that stands behind the code. Holds nothing but printable ASCII. */
  readonly detail: string;
}

export function chainFailure(reason: CertificateFailure, depth: number): VerificationFailure {
  const { text } = FAILURE_TABLE[reason];
  const place = `X509_verify_cert: certificate verification error at depth ${depth}`;
  return { reason, depth, detail: `verify cert failed: ${place}: ${text}` };
}

/** @param more stands behind the text of the table */
export function peerFailure(reason: CertificateFailure, more = ''): VerificationFailure {
  return { reason, depth: 0, detail: `verify cert failed: ${FAILURE_TABLE[reason].text}${more}` };
}

export function noCertificate(): VerificationFailure {
  return { reason: 'no_certificate', depth: 0, detail: FAILURE_TABLE.no_certificate.text };
}

/** Names of a certificate go into logs up to this many characters. */
const MAX_NAMES_LENGTH = 1024;

/** The names of a certificate for a log: the peer chose them, so what could break a line or a field is written as `\x0a`. */
export function namesForLog(certificate: Certificate): string {
  return forLog(alternativeNames(certificate).map(({ text }) => text));
}

export function forLog(names: readonly string[]): string {
  let out = '';
  for (const name of names) {
    const next = `${out === '' ? '' : ', '}${name.slice(0, MAX_NAMES_LENGTH).replace(/[^\x20-\x7e]|[\\"]/g, escaped)}`;
    if (out.length + next.length > MAX_NAMES_LENGTH) return `${out}, ...`;
    out += next;
  }
  return out;
}

function escaped(character: string): string {
  const hex = Buffer.from(character, 'utf8').toString('hex');
  return hex.replace(/../g, '\\x$&');
}
