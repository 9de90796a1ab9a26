import { attempt, type Certificate } from '../certificate/certificate.ts';
import { type AuthorityKeyIdentifier, KeyUsageBit } from '../certificate/extensions.ts';
import { sameName } from '../certificate/name.ts';

/** Subject and issuer are the same name. */
export function isSelfIssued(certificate: Certificate): boolean {
  return sameName(certificate.subject, certificate.issuer);
}

/** It says of itself that it is its own issuer. (The signature is another matter: whoever is trusted is trusted without.) */
export function isSelfSigned(certificate: Certificate): boolean {
  return (
    isSelfIssued(certificate) &&
    fitsKeyIdentifier(certificate, certificate.known.authorityKeyIdentifier) &&
    allowsUsage(certificate, KeyUsageBit.keyCertSign)
  );
}

/** Whether `issuer` may have issued `subject`, by names, key identifiers and usage, as OpenSSL and we both see it. */
export function mayHaveIssued(issuer: Certificate, subject: Certificate): boolean {
  if (issuer.brokenExtension !== undefined || !sameName(issuer.subject, subject.issuer)) return false;
  if (!fitsKeyIdentifier(issuer, subject.known.authorityKeyIdentifier)) return false;
  const { x509 } = issuer;
  if (x509 === undefined) return false;
  return attempt(() => subject.x509?.checkIssued(x509)) === true;
}

/** keyUsage has one of the bits, or is not there. */
export function allowsUsage(certificate: Certificate, bits: number): boolean {
  const { keyUsage } = certificate.known;
  return keyUsage === undefined || (keyUsage & bits) !== 0;
}

/** What an authorityKeyIdentifier says, as far as it says anything, is true of `issuer`. */
export function fitsKeyIdentifier(
  issuer: Certificate,
  identifier: AuthorityKeyIdentifier | undefined,
): boolean {
  if (identifier === undefined) return true;
  const { keyIdentifier, serial } = identifier;
  const own = issuer.known.subjectKeyIdentifier;
  if (keyIdentifier !== undefined && own !== undefined && !keyIdentifier.equals(own)) return false;
  if (serial !== undefined && !serial.equals(issuer.serial)) return false;
  const directory = identifier.issuer.find((name) => name.kind === 'directory');
  return directory === undefined || sameName(directory.name, issuer.issuer);
}
