import { createHash } from 'node:crypto';
import {
  type ClientHello,
  Cursor,
  EXTENSION,
  extensionData,
  isGrease,
  uint16List,
} from '@dragoman/client-hello';

const HASH_DIGITS = 12;
const NO_HASH = '0'.repeat(HASH_DIGITS);
const VERSIONS: ReadonlyMap<number, string> = new Map([
  [0x0304, '13'],
  [0x0303, '12'],
  [0x0302, '11'],
  [0x0301, '10'],
]);

/** The JA4 fingerprint of a ClientHello over TCP, such as `t13d1516h2_8daaf6152771_e5627efa2ab1`. */
export function ja4(hello: ClientHello): string {
  const ciphers = uint16List(hello.cipherSuites).filter((id) => !isGrease(id));
  const extensions = hello.extensions.map(({ type }) => type).filter((type) => !isGrease(type));
  const name = extensions.includes(EXTENSION.serverName) ? 'd' : 'i';
  const counts = twoDigits(ciphers.length) + twoDigits(extensions.length);
  const first = `t${version(hello)}${name}${counts}${protocol(hello)}`;
  return `${first}_${hashOf(hexList(ciphers))}_${extensionHash(hello, extensions)}`;
}

/** The highest version that is offered. */
function version(hello: ClientHello): string {
  const offered = extensionData(hello, EXTENSION.supportedVersions);
  let highest = 0;
  if (offered !== undefined) {
    const list = new Cursor(offered).vector8();
    if (list === undefined) return '00';
    for (const id of uint16List(list)) if (id > highest && !isGrease(id)) highest = id;
  }
  return VERSIONS.get(highest === 0 ? hello.version : highest) ?? '00';
}

const twoDigits = (count: number): string => String(Math.min(count, 99)).padStart(2, '0');

/** First and last character of the first protocol; when one of them is no letter or digit, half a byte of each. */
function protocol(hello: ClientHello): string {
  const data = extensionData(hello, EXTENSION.alpn);
  if (data === undefined) return '00';
  const cursor = new Cursor(data);
  cursor.uint16();
  const name = cursor.vector8();
  const first = name?.at(0);
  const last = name?.at(-1);
  if (first === undefined || last === undefined) return '00';
  const text = String.fromCharCode(first, last);
  return /^[A-Za-z0-9]{2}$/.test(text) ? text : (first >> 4).toString(16) + (last & 15).toString(16);
}

const hexList = (ids: readonly number[]): string =>
  [...ids]
    .sort((a, b) => a - b)
    .map(hex)
    .join(',');
const hex = (id: number): string => id.toString(16).padStart(4, '0');

/** Of the extensions in order of their numbers, without those of name and ALPN, and the signature algorithms as they were sent. */
function extensionHash(hello: ClientHello, all: readonly number[]): string {
  const extensions = all.filter((type) => type !== EXTENSION.serverName && type !== EXTENSION.alpn);
  const algorithms = hello.extensions
    .filter(({ type }) => type === EXTENSION.signatureAlgorithms)
    .flatMap(({ data }) => uint16List(data.subarray(2)))
    .map(hex);
  const list = hexList(extensions);
  return hashOf(list === '' || algorithms.length === 0 ? list : `${list}_${algorithms.join(',')}`);
}

function hashOf(list: string): string {
  return list === '' ? NO_HASH : createHash('sha256').update(list).digest('hex').slice(0, HASH_DIGITS);
}
