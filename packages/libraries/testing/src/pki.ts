import type { KeyObject } from 'node:crypto';
import {
  type CertificateContent,
  encodeCertificate,
  type Issuer,
  type KeyUsage,
  randomSerial,
} from './pki/certificate.ts';
import { pem } from './pki/der-writer.ts';
import { generateKey, type KeyKind, type KeyPair } from './pki/keys.ts';
import { encodeName, type PkiName } from './pki/names.ts';
import { encodePkcs12, type Pkcs12Encryption } from './pki/pkcs12.ts';
import { type CrlContent, encodeCrl, encodeOcsp, type OcspContent } from './pki/revocation.ts';

export {
  type CertificateContent,
  DAY_MS,
  HOUR_MS,
  type KeyUsage,
  type NameConstraints,
  type PkiExtension,
} from './pki/certificate.ts';
export { generateKey, type KeyKind, type KeyPair, type SignatureDigest } from './pki/keys.ts';
export { encodeName, type NameAttribute, type PkiName, type SanEntry } from './pki/names.ts';
export type { Pkcs12Encryption } from './pki/pkcs12.ts';
export type { CrlContent, OcspContent, RevokedEntry } from './pki/revocation.ts';

/** What a certificate is to have; everything has a default. */
export interface CertificateOptions extends Partial<CertificateContent> {
  /** A kind to make a key of (`p256` when absent), or a key that is there. */
  readonly key?: KeyKind | KeyPair;
}

/**
 * A certificate with its key. Made by `TestAuthority`; `chain` are the certificates between it and the root, the issuer
 * first, without the root.
 */
export class TestCertificate {
  readonly der: Buffer;
  readonly pem: string;
  readonly serial: bigint;
  readonly keys: KeyPair;
  readonly chain: readonly TestCertificate[];

  constructor(der: Buffer, serial: bigint, keys: KeyPair, chain: readonly TestCertificate[] = []) {
    this.der = der;
    this.pem = pem('CERTIFICATE', der);
    this.serial = serial;
    this.keys = keys;
    this.chain = chain;
  }

  get privateKey(): KeyObject {
    return this.keys.privateKey;
  }

  /** The key as PKCS#8, in PEM. */
  get keyPem(): string {
    return this.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
  }

  /** The key as PKCS#8, encrypted with AES-256 (`pkcs8`), or as OpenSSL wrote it before (`traditional`; not for Ed25519). */
  encryptedKeyPem(passphrase: string, form: 'pkcs8' | 'traditional' = 'pkcs8'): string {
    const traditional = this.privateKey.asymmetricKeyType === 'rsa' ? 'pkcs1' : 'sec1';
    const type = form === 'pkcs8' ? form : traditional;
    return this.privateKey.export({ type, format: 'pem', cipher: 'aes-256-cbc', passphrase }) as string;
  }

  /** This certificate and those between it and the root, as `certificate_chain` takes them. */
  get chainPem(): string {
    return [this, ...this.chain].map((one) => one.pem).join('');
  }

  /** DER of the same, as a peer sends them. */
  get chainDer(): Buffer[] {
    return [this, ...this.chain].map((one) => one.der);
  }

  /** A PKCS#12 file with the key, this certificate and its chain. */
  pkcs12(password: string, encryption?: Pkcs12Encryption): Buffer {
    return encodePkcs12(this.privateKey, this.chainDer, password, encryption);
  }
}

const AUTHORITY_USAGE: readonly KeyUsage[] = ['keyCertSign', 'cRLSign', 'digitalSignature'];
const LEAF_USAGE: readonly KeyUsage[] = ['digitalSignature'];
const RSA_LEAF_USAGE: readonly KeyUsage[] = ['digitalSignature', 'keyEncipherment'];

/**
 * A certificate authority for tests. Nothing is read from or written to the disk; what it makes is signed at once.
 *
 * ```ts
 * const root = TestAuthority.root();
 * const between = root.intermediate({ subject: 'CN=Between' });
 * const server = between.issue({ subject: 'CN=server', san: [{ dns: 'a.example' }, { dns: 'b\0c' }] });
 * createServer({ key: server.keyPem, cert: server.chainPem });
 * connect({ ca: root.pem });
 * between.crl({ revoked: [{ serial: server.serial }] }); // PEM
 * between.ocsp(server, { status: 'revoked' }); // DER
 * ```
 *
 * Keys are ECDSA P-256 unless `key` says otherwise; `notBefore` and `notAfter` are wall times in ms.
 */
export class TestAuthority extends TestCertificate {
  readonly subject: PkiName;
  readonly #isRoot: boolean;

  private constructor(
    subject: PkiName,
    der: Buffer,
    serial: bigint,
    keys: KeyPair,
    chain?: readonly TestCertificate[],
  ) {
    super(der, serial, keys, chain);
    this.subject = subject;
    this.#isRoot = chain === undefined;
  }

  /** A self-signed authority, named `CN=Test Root` when no subject is given. */
  static root(options: CertificateOptions = {}): TestAuthority {
    const { subject = 'CN=Test Root', key, serial = randomSerial() } = options;
    const keys = keysOf(key);
    const content = authority({ ...options, subject, serial });
    return new TestAuthority(
      subject,
      encodeCertificate(content, keys, { name: encodeName(subject), keys }),
      serial,
      keys,
    );
  }

  /** An authority below this one, named `CN=Test Intermediate` when no subject is given. */
  intermediate(options: CertificateOptions = {}): TestAuthority {
    const { subject = 'CN=Test Intermediate', key, serial = randomSerial() } = options;
    const keys = keysOf(key);
    const content = authority({ ...options, subject, serial });
    const der = encodeCertificate(content, keys, this.#issuer());
    return new TestAuthority(subject, der, serial, keys, this.#chainBelow());
  }

  /** A leaf, for servers and clients alike when no extended key usage is given. */
  issue(options: CertificateOptions = {}): TestCertificate {
    const { subject = 'CN=Test Leaf', key, serial = randomSerial() } = options;
    const keys = keysOf(key);
    const content = leaf({ ...options, subject, serial }, keys);
    return new TestCertificate(
      encodeCertificate(content, keys, this.#issuer()),
      serial,
      keys,
      this.#chainBelow(),
    );
  }

  /** A CRL in PEM. */
  crl(content: CrlContent = {}): string {
    return pem('X509 CRL', encodeCrl(content, this.#issuer()));
  }

  /** An OCSP response about a certificate that this authority issued, in DER. */
  ocsp(certificate: TestCertificate, content: OcspContent = {}): Buffer {
    return encodeOcsp(content, content.serials ?? [certificate.serial], this.#issuer());
  }

  #issuer(): Issuer {
    return { name: encodeName(this.subject), keys: this.keys };
  }

  #chainBelow(): readonly TestCertificate[] {
    return this.#isRoot ? [] : [this, ...this.chain];
  }
}

/** A leaf which is its own issuer. */
export function selfSigned(options: CertificateOptions = {}): TestCertificate {
  const { subject = 'CN=Test Self-signed', key, serial = randomSerial() } = options;
  const keys = keysOf(key);
  const content = leaf({ ...options, subject, serial }, keys);
  return new TestCertificate(
    encodeCertificate(content, keys, { name: encodeName(subject), keys }),
    serial,
    keys,
  );
}

function keysOf(key: KeyKind | KeyPair = 'p256'): KeyPair {
  return typeof key === 'string' ? generateKey(key) : key;
}

function authority(options: CertificateOptions & { readonly subject: PkiName }): CertificateContent {
  return { basicConstraints: { ca: true }, keyUsage: AUTHORITY_USAGE, ...options };
}

function leaf(
  options: CertificateOptions & { readonly subject: PkiName },
  keys: KeyPair,
): CertificateContent {
  const keyUsage = keys.privateKey.asymmetricKeyType === 'rsa' ? RSA_LEAF_USAGE : LEAF_USAGE;
  return { keyUsage, extendedKeyUsage: ['serverAuth', 'clientAuth'], ...options };
}
