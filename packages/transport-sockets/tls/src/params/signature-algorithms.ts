/** What BoringSSL offers and verifies when nothing is configured, in its order. */
export const DEFAULT_ALGORITHMS: readonly string[] = [
  'ecdsa_secp256r1_sha256',
  'rsa_pss_rsae_sha256',
  'rsa_pkcs1_sha256',
  'ecdsa_secp384r1_sha384',
  'rsa_pss_rsae_sha384',
  'rsa_pkcs1_sha384',
  'rsa_pss_rsae_sha512',
  'rsa_pkcs1_sha512',
  'rsa_pkcs1_sha1',
];

const KNOWN = new Set([...DEFAULT_ALGORITHMS, 'ecdsa_secp521r1_sha512', 'ed25519', 'ecdsa_sha1']);

/** The older way to name them, which both libraries read. */
const OLD_NAME = /^(RSA|RSA-PSS|PSS|ECDSA)\+SHA(1|256|384|512)$/;

export function isSignatureAlgorithm(name: string): boolean {
  return KNOWN.has(name) || OLD_NAME.test(name) || name === 'Ed25519';
}
