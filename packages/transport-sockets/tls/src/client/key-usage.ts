import { type Certificate, detailsOf, readCertificate } from '@dragoman/certificates';

/** Bits of `Certificate.known.keyUsage`. */
const DIGITAL_SIGNATURE = 0x01;
const KEY_ENCIPHERMENT = 0x04;

/**
 * Whether a server's RSA certificate says that its key is for something else than what the handshake has used it for: signing, or, with
 * cipher suites of old, decrypting. Other certificates are not looked at, as in BoringSSL.
 * @param cipher OpenSSL's name of the cipher suite
 */
export function isKeyUsageWrong(leaf: Buffer, cipher: string): boolean {
  const certificate = readCertificate(leaf);
  if (!certificate.ok || !isRsa(certificate.value)) return false;
  const { keyUsage } = certificate.value.known;
  if (keyUsage === undefined) return false;
  const signs = cipher.startsWith('TLS_') || cipher.startsWith('ECDHE-');
  return (keyUsage & (signs ? DIGITAL_SIGNATURE : KEY_ENCIPHERMENT)) === 0;
}

function isRsa(certificate: Certificate): boolean {
  return detailsOf(certificate).keyType.kind === 'rsa';
}
