import { createCipheriv, createHash, createHmac, type KeyObject, pbkdf2Sync, randomBytes } from 'node:crypto';
import { explicit, integer, nothing, octets, oid, sequence } from './der-writer.ts';

const DATA = '1.2.840.113549.1.7.1';
const ITERATIONS = 2048;

/** `modern` is what OpenSSL 3 writes (PBES2 with AES-256, SHA-256), `legacy` what it wrote before (3DES, SHA-1). */
export type Pkcs12Encryption = 'modern' | 'legacy';

/** A PKCS#12 file: certificates encrypted, the key in a shrouded bag, a MAC over all. */
export function encodePkcs12(
  key: KeyObject,
  certificates: readonly Buffer[],
  password: string,
  encryption: Pkcs12Encryption = 'modern',
): Buffer {
  const bags = certificates.map((der) =>
    sequence(
      oid('1.2.840.113549.1.12.10.1.3'),
      explicit(0, sequence(oid('1.2.840.113549.1.9.22.1'), explicit(0, octets(der)))),
    ),
  );
  const pkcs8 = key.export({ type: 'pkcs8', format: 'der' });
  const encrypt = encryption === 'modern' ? encryptModern : encryptLegacy;
  const certs = encrypt(sequence(...bags), password);
  const shrouded = encrypt(pkcs8, password);
  const keyBag = sequence(
    oid('1.2.840.113549.1.12.10.1.2'),
    explicit(0, sequence(shrouded.algorithm, octets(shrouded.bytes))),
  );
  const safe = sequence(
    sequence(
      oid('1.2.840.113549.1.7.6'),
      explicit(
        0,
        sequence(
          integer(0),
          sequence(oid(DATA), certs.algorithm, Buffer.concat([implicitOctets(certs.bytes)])),
        ),
      ),
    ),
    sequence(oid(DATA), explicit(0, octets(sequence(keyBag)))),
  );
  const digest = encryption === 'modern' ? 'sha256' : 'sha1';
  const salt = randomBytes(8);
  const macKey = pkcs12Key(digest, password, salt, 3, digest === 'sha256' ? 32 : 20);
  const mac = createHmac(digest, macKey).update(safe).digest();
  const digestOid = digest === 'sha256' ? '2.16.840.1.101.3.4.2.1' : '1.3.14.3.2.26';
  return sequence(
    integer(3),
    sequence(oid(DATA), explicit(0, octets(safe))),
    sequence(sequence(sequence(oid(digestOid), nothing()), octets(mac)), octets(salt), integer(ITERATIONS)),
  );
}

/** `[0] IMPLICIT OCTET STRING`. */
function implicitOctets(bytes: Buffer): Buffer {
  const whole = octets(bytes);
  whole[0] = 0x80;
  return whole;
}

interface Encrypted {
  readonly algorithm: Buffer;
  readonly bytes: Buffer;
}

function encryptModern(plain: Buffer, password: string): Encrypted {
  const salt = randomBytes(16);
  const iv = randomBytes(16);
  const key = pbkdf2Sync(password, salt, ITERATIONS, 32, 'sha256');
  const cipher = createCipheriv('aes-256-cbc', key, iv);
  const algorithm = sequence(
    oid('1.2.840.113549.1.5.13'),
    sequence(
      sequence(
        oid('1.2.840.113549.1.5.12'),
        sequence(octets(salt), integer(ITERATIONS), sequence(oid('1.2.840.113549.2.9'), nothing())),
      ),
      sequence(oid('2.16.840.1.101.3.4.1.42'), octets(iv)),
    ),
  );
  return { algorithm, bytes: Buffer.concat([cipher.update(plain), cipher.final()]) };
}

function encryptLegacy(plain: Buffer, password: string): Encrypted {
  const salt = randomBytes(8);
  const key = pkcs12Key('sha1', password, salt, 1, 24);
  const cipher = createCipheriv('des-ede3-cbc', key, pkcs12Key('sha1', password, salt, 2, 8));
  const algorithm = sequence(oid('1.2.840.113549.1.12.1.3'), sequence(octets(salt), integer(ITERATIONS)));
  return { algorithm, bytes: Buffer.concat([cipher.update(plain), cipher.final()]) };
}

/** The key derivation of RFC 7292, appendix B.2. `id`: 1 is a key, 2 an IV, 3 a MAC key. */
function pkcs12Key(
  digest: 'sha1' | 'sha256',
  password: string,
  salt: Buffer,
  id: number,
  length: number,
): Buffer {
  const block = 64;
  const text = Buffer.from(`${password}\0`, 'utf16le').swap16();
  const fill = (bytes: Buffer) => {
    const filled = Buffer.alloc(Math.ceil(bytes.length / block) * block);
    for (let i = 0; i < filled.length; i++) filled[i] = bytes[i % bytes.length];
    return filled;
  };
  const input = Buffer.concat([fill(salt), fill(text)]);
  const out: Buffer[] = [];
  for (let made = 0; made < length; ) {
    let hash = createHash(digest).update(Buffer.alloc(block, id)).update(input).digest();
    for (let i = 1; i < ITERATIONS; i++) hash = createHash(digest).update(hash).digest();
    out.push(hash);
    made += hash.length;
    for (let at = 0; at < input.length; at += block) {
      let carry = 1;
      for (let i = block - 1; i >= 0; i--) {
        carry += input[at + i] + hash[i % hash.length];
        input[at + i] = carry & 0xff;
        carry >>= 8;
      }
    }
  }
  return Buffer.concat(out).subarray(0, length);
}
