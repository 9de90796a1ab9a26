import { alternativeNames, type Certificate } from '@dragoman/certificates';
import { asciiLower } from '@dragoman/matching';

const COMMON_NAME = '2.5.4.3';

/**
 * The names that a certificate is for, as Envoy looks for them when it chooses by SNI: the DNS names, or the common name where there are no
 * alternative names at all. In lower case; `.example.com` stands for `*.example.com`.
 */
export function serverNames(certificate: Certificate): string[] {
  const names =
    certificate.known.subjectAltName === undefined ? commonNames(certificate) : dnsNames(certificate);
  return names.map((name) => asciiLower(name.startsWith('*.') ? name.slice(1) : name));
}

function dnsNames(certificate: Certificate): string[] {
  return alternativeNames(certificate)
    .filter(({ kind, matchable }) => kind === 'dns' && matchable)
    .map(({ text }) => text);
}

function commonNames({ subject }: Certificate): string[] {
  const name = subject.rdns.flat().find(({ oid }) => oid === COMMON_NAME)?.text;
  return name === undefined || name === '' || name.includes('\0') ? [] : [name];
}
