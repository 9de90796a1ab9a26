import { createDecipheriv, createHash, createHmac, pbkdf2Sync, timingSafeEqual } from 'node:crypto';
import { contextConstructed, DerError, DerReader, Tag, wholeOf } from '../der/reader.ts';
import { type Algorithm, readAlgorithm, readSmallInteger } from '../der/values.ts';

/** Rounds of key derivation beyond this are refused: they are run on the thread that loads the config. */
const MAX_ITERATIONS = 1_000_000;

const PBES2 = '1.2.840.113549.1.5.13';
const PBMAC1 = '1.2.840.113549.1.5.14';
const PBKDF2 = '1.2.840.113549.1.5.12';
const SHA1_3DES = '1.2.840.113549.1.12.1.3';

const DIGESTS: Readonly<Record<string, string>> = {
  '1.3.14.3.2.26': 'sha1',
  '2.16.840.1.101.3.4.2.4': 'sha224',
  '2.16.840.1.101.3.4.2.1': 'sha256',
  '2.16.840.1.101.3.4.2.2': 'sha384',
  '2.16.840.1.101.3.4.2.3': 'sha512',
};

const HMACS: Readonly<Record<string, string>> = {
  '1.2.840.113549.2.7': 'sha1',
  '1.2.840.113549.2.8': 'sha224',
  '1.2.840.113549.2.9': 'sha256',
  '1.2.840.113549.2.10': 'sha384',
  '1.2.840.113549.2.11': 'sha512',
};

interface Cipher {
  readonly name: string;
  readonly keyBytes: number;
}

const CIPHERS: Readonly<Record<string, Cipher>> = {
  '2.16.840.1.101.3.4.1.2': { name: 'aes-128-cbc', keyBytes: 16 },
  '2.16.840.1.101.3.4.1.22': { name: 'aes-192-cbc', keyBytes: 24 },
  '2.16.840.1.101.3.4.1.42': { name: 'aes-256-cbc', keyBytes: 32 },
  '1.2.840.113549.3.7': { name: 'des-ede3-cbc', keyBytes: 24 },
};

/** True when the MAC of a PKCS#12 file fits: the password is right, and nothing was changed. */
export function macFits(macData: DerReader, authSafe: Buffer, password: string): boolean {
  const info = macData.sequence();
  const algorithm = readAlgorithm(info);
  const expected = info.expect(Tag.octetString).body;
  const salt = macData.expect(Tag.octetString).body;
  const iterations = iterationsOf(macData.optional(Tag.integer)?.body);
  macData.end();
  let actual: Buffer;
  if (algorithm.oid === PBMAC1) {
    const parameters = parametersOf(algorithm);
    const derivation = readAlgorithm(parameters);
    const digest = named(HMACS, readAlgorithm(parameters).oid, 'MAC');
    actual = createHmac(digest, pbkdf2(derivation, password, undefined))
      .update(authSafe)
      .digest();
  } else {
    const digest = named(DIGESTS, algorithm.oid, 'digest');
    const size = createHash(digest).digest().length;
    const key = deriveKey(digest, password, salt, iterations, 3, size);
    actual = createHmac(digest, key).update(authSafe).digest();
  }
  return actual.length === expected.length && timingSafeEqual(actual, expected);
}

/** Decrypts what `EncryptedData` holds. */
export function decryptContents(algorithm: Algorithm, bytes: Buffer, password: string): Buffer {
  const parameters = parametersOf(algorithm);
  if (algorithm.oid === PBES2) {
    const derivation = readAlgorithm(parameters);
    const scheme = readAlgorithm(parameters);
    const cipher = named(CIPHERS, scheme.oid, 'cipher');
    const iv = parametersOfType(scheme, Tag.octetString);
    return decipher(cipher.name, pbkdf2(derivation, password, cipher.keyBytes), iv, bytes);
  }
  if (algorithm.oid !== SHA1_3DES)
    throw new DerError(
      `contents are encrypted with ${algorithm.oid}, which OpenSSL 3 counts as legacy: export the file anew`,
    );
  const salt = parameters.expect(Tag.octetString).body;
  const iterations = iterationsOf(parameters.expect(Tag.integer).body);
  const key = deriveKey('sha1', password, salt, iterations, 1, 24);
  return decipher('des-ede3-cbc', key, deriveKey('sha1', password, salt, iterations, 2, 8), bytes);
}

function decipher(name: string, key: Buffer, iv: Buffer, bytes: Buffer): Buffer {
  try {
    const stream = createDecipheriv(name, key, iv);
    return Buffer.concat([stream.update(bytes), stream.final()]);
  } catch {
    throw new DerError('the contents do not decrypt');
  }
}

function pbkdf2(derivation: Algorithm, password: string, keyBytes: number | undefined): Buffer {
  if (derivation.oid !== PBKDF2) throw new DerError(`key derivation ${derivation.oid} is not supported`);
  const parameters = parametersOf(derivation);
  const salt = parameters.expect(Tag.octetString).body;
  const iterations = iterationsOf(parameters.expect(Tag.integer).body);
  const written = parameters.optional(Tag.integer);
  const digest = parameters.done ? 'sha1' : named(HMACS, readAlgorithm(parameters).oid, 'MAC');
  const length = keyBytes ?? (written === undefined ? 0 : readSmallInteger(written.body));
  if (length < 1 || length > 64) throw new DerError('the length of a key is not given, or out of range');
  return pbkdf2Sync(password, salt, iterations, length, digest);
}

function named<T>(table: Readonly<Record<string, T>>, oid: string, what: string): T {
  const found = Object.hasOwn(table, oid) ? table[oid] : undefined;
  if (found === undefined) throw new DerError(`${what} ${oid} is not supported`);
  return found;
}

function parametersOf({ oid, parameters }: Algorithm): DerReader {
  if (parameters === undefined) throw new DerError(`algorithm ${oid} has no parameters`);
  return wholeOf(parameters, Tag.sequence);
}

function parametersOfType({ oid, parameters }: Algorithm, tag: number): Buffer {
  if (parameters === undefined) throw new DerError(`algorithm ${oid} has no parameters`);
  return new DerReader(parameters).expect(tag).body;
}

function iterationsOf(body: Buffer | undefined): number {
  const iterations = body === undefined ? 1 : readSmallInteger(body);
  if (iterations < 1 || iterations > MAX_ITERATIONS)
    throw new DerError(`${iterations} rounds of key derivation are not between 1 and ${MAX_ITERATIONS}`);
  return iterations;
}

const BLOCK = 64;

/** The key derivation of RFC 7292, appendix B.2. `purpose`: 1 a key, 2 an IV, 3 a MAC key. */
function deriveKey(
  digest: string,
  password: string,
  salt: Buffer,
  iterations: number,
  purpose: 1 | 2 | 3,
  length: number,
): Buffer {
  const block = digest === 'sha384' || digest === 'sha512' ? BLOCK * 2 : BLOCK;
  const input = Buffer.concat([
    repeated(salt, block),
    repeated(Buffer.from(`${password}\0`, 'utf16le').swap16(), block),
  ]);
  const diversifier = Buffer.alloc(block, purpose);
  const parts: Buffer[] = [];
  for (let made = 0; made < length; ) {
    let hash = createHash(digest).update(diversifier).update(input).digest();
    for (let round = 1; round < iterations; round++) hash = createHash(digest).update(hash).digest();
    parts.push(hash);
    made += hash.length;
    for (let at = 0; at < input.length; at += block) addOne(input.subarray(at, at + block), hash);
  }
  return Buffer.concat(parts).subarray(0, length);
}

/** Bytes over and over, up to a multiple of the block size. */
function repeated(bytes: Buffer, block: number): Buffer {
  const size = Math.ceil(bytes.length / block) * block;
  return size === 0 ? Buffer.alloc(0) : Buffer.alloc(size, bytes);
}

/** `block + hash + 1`, as numbers; the hash is repeated to the block's length. */
function addOne(block: Buffer, hash: Buffer): void {
  let carry = 1;
  for (let i = block.length - 1; i >= 0; i--) {
    carry += (block[i] as number) + (hash[i % hash.length] as number);
    block[i] = carry & 0xff;
    carry >>= 8;
  }
}

/** The OCTET STRING inside of `[0] EXPLICIT`. */
export function explicitOctets(reader: DerReader): Buffer {
  const inner = reader.enter(contextConstructed(0));
  const { body } = inner.expect(Tag.octetString);
  inner.end();
  return body;
}
