import { createPrivateKey, type KeyObject } from 'node:crypto';
import { attempt, type Certificate, readCertificate } from '../certificate/certificate.ts';
import {
  context,
  contextConstructed,
  DerError,
  type DerReader,
  reading,
  Tag,
  wholeOf,
} from '../der/reader.ts';
import { readAlgorithm, readOid, readSmallInteger } from '../der/values.ts';
import { failed, type Result } from '../result.ts';
import { keyMatches } from './private-key.ts';
import { decryptContents, explicitOctets, macFits } from './pkcs12-crypto.ts';

/** What a PKCS#12 file holds. */
export interface Pkcs12 {
  readonly privateKey: KeyObject | undefined;
  /** The certificate of the key first, then the others in the order of the file. */
  readonly certificates: readonly Certificate[];
}

const MAX_PKCS12_BYTES = 1024 * 1024;

const DATA = '1.2.840.113549.1.7.1';
const ENCRYPTED_DATA = '1.2.840.113549.1.7.6';
const X509_CERTIFICATE = '1.2.840.113549.1.9.22.1';
const KEY_BAG = '1.2.840.113549.1.12.10.1.1';
const SHROUDED_KEY_BAG = '1.2.840.113549.1.12.10.1.2';
const CERT_BAG = '1.2.840.113549.1.12.10.1.3';

/**
 * Reads the certificates and the key of a PKCS#12 file. node:tls takes such files by itself (`pfx`) but does not tell what is inside,
 * which `/certs`, expiry and the choice by key type need.
 * @param password empty when there is none
 */
export function readPkcs12(der: Buffer, password = ''): Result<Pkcs12> {
  if (der.length > MAX_PKCS12_BYTES)
    return failed(`a PKCS#12 file has ${der.length} bytes, more than ${MAX_PKCS12_BYTES}`);
  return reading(() => readPfx(der, password));
}

interface Contents {
  readonly certificates: Certificate[];
  readonly keys: KeyObject[];
}

function readPfx(der: Buffer, password: string): Pkcs12 {
  const reader = wholeOf(der, Tag.sequence);
  if (readSmallInteger(reader.expect(Tag.integer).body) !== 3)
    throw new DerError('not a PKCS#12 file of version 3');
  const authSafe = readAuthSafe(reader.sequence());
  const macData = reader.enterOptional(Tag.sequence);
  reader.end();
  if (macData === undefined) throw new DerError('the PKCS#12 file has no MAC');
  if (!macFits(macData, authSafe, password))
    throw new DerError('the MAC of the PKCS#12 file does not fit: the password may be wrong');
  const contents: Contents = { certificates: [], keys: [] };
  const safes = wholeOf(authSafe, Tag.sequence);
  while (!safes.done) readSafe(safes.sequence(), password, contents);
  const [privateKey] = contents.keys;
  return { privateKey, certificates: ownFirst(contents.certificates, privateKey) };
}

function readAuthSafe(reader: DerReader): Buffer {
  if (readOid(reader.expect(Tag.oid).body) !== DATA)
    throw new DerError('the PKCS#12 file is signed with a key: only those with a password are read');
  return explicitOctets(reader);
}

function ownFirst(certificates: readonly Certificate[], key: KeyObject | undefined): Certificate[] {
  const own = key === undefined ? undefined : certificates.find((one) => keyMatches(one, key));
  return own === undefined ? [...certificates] : [own, ...certificates.filter((one) => one !== own)];
}

function readSafe(reader: DerReader, password: string, into: Contents): void {
  const type = readOid(reader.expect(Tag.oid).body);
  if (type === DATA) {
    readBags(explicitOctets(reader), password, into);
    return;
  }
  if (type !== ENCRYPTED_DATA) throw new DerError(`contents of type ${type} are not supported`);
  const data = reader.enter(contextConstructed(0)).sequence();
  data.expect(Tag.integer);
  const encrypted = data.sequence();
  encrypted.expect(Tag.oid);
  const algorithm = readAlgorithm(encrypted);
  const { body } = encrypted.expect(context(0));
  readBags(decryptContents(algorithm, body, password), password, into);
}

/** Bags of CRLs and secrets are passed over. */
function readBags(contents: Buffer, password: string, into: Contents): void {
  const bags = wholeOf(contents, Tag.sequence);
  while (!bags.done) {
    const bag = bags.sequence();
    const type = readOid(bag.expect(Tag.oid).body);
    const value = bag.enter(contextConstructed(0));
    bag.optional(Tag.set);
    bag.end();
    if (type === CERT_BAG) {
      const inner = value.sequence();
      if (readOid(inner.expect(Tag.oid).body) !== X509_CERTIFICATE) continue;
      const certificate = readCertificate(explicitOctets(inner));
      if (!certificate.ok) throw new DerError(certificate.error);
      into.certificates.push(certificate.value);
    } else if (type === SHROUDED_KEY_BAG || type === KEY_BAG) {
      into.keys.push(readKey(value.any().whole, type === KEY_BAG ? undefined : password));
    }
  }
}

function readKey(key: Buffer, passphrase: string | undefined): KeyObject {
  const read = attempt(() => createPrivateKey({ key, format: 'der', type: 'pkcs8', passphrase }));
  if (read === undefined) throw new DerError('a private key in the PKCS#12 file does not decrypt');
  return read;
}
