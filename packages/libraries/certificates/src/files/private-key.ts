import { createPrivateKey, type KeyObject } from 'node:crypto';
import type { Certificate } from '../certificate/certificate.ts';
import { attempt } from '../certificate/certificate.ts';
import { failed, type Result, succeeded } from '../result.ts';

/**
 * Reads a private key: PEM (PKCS#8, PKCS#1, SEC1; encrypted or not) or DER (PKCS#8). The error never holds any of the key.
 * @param password for encrypted keys; ignored for others
 */
export function readPrivateKey(source: string | Buffer, password?: string): Result<KeyObject> {
  const bytes = Buffer.from(source as Buffer);
  const pem = bytes.includes('-----BEGIN ');
  const encrypted = bytes.includes('ENCRYPTED');
  if (pem && encrypted && password === undefined)
    return failed('the private key is encrypted, and there is no password');
  try {
    const passphrase = password;
    return succeeded(
      createPrivateKey(
        pem
          ? { key: bytes, format: 'pem', passphrase }
          : { key: bytes, format: 'der', type: 'pkcs8', passphrase },
      ),
    );
  } catch (error) {
    const code = (error as { code?: string }).code ?? 'unknown';
    return failed(
      encrypted
        ? `the private key does not decrypt: the password may be wrong (${code})`
        : `not a private key (${code})`,
    );
  }
}

/** Whether a private key belongs to the key in a certificate. */
export function keyMatches(certificate: Certificate, key: KeyObject): boolean {
  return attempt(() => certificate.x509?.checkPrivateKey(key)) === true;
}
