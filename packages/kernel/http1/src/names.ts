import { WELL_KNOWN_IDS, WELL_KNOWN_NAMES } from '@dragoman/core';

/**
 * Names met often enough to be worth an entry: an interned name costs no string. All in lower case.
 * Found by their words while the bytes are scanned (see {@link lookupName}): no substring, no Map.
 */
const COMMON = [
  'host',
  'accept',
  'accept-charset',
  'accept-language',
  'accept-ranges',
  'access-control-allow-credentials',
  'access-control-allow-headers',
  'access-control-allow-methods',
  'access-control-allow-origin',
  'access-control-expose-headers',
  'access-control-max-age',
  'access-control-request-headers',
  'access-control-request-method',
  'age',
  'allow',
  'alt-svc',
  'authorization',
  'b3',
  'baggage',
  'cache-control',
  'cf-connecting-ip',
  'content-disposition',
  'content-language',
  'content-location',
  'content-range',
  'content-security-policy',
  'cross-origin-opener-policy',
  'cross-origin-resource-policy',
  'dnt',
  'etag',
  'expires',
  'forwarded',
  'from',
  'http2-settings',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'last-modified',
  'link',
  'max-forwards',
  'nel',
  'origin',
  'permissions-policy',
  'pragma',
  'priority',
  'proxy-authenticate',
  'proxy-authorization',
  'range',
  'referer',
  'referrer-policy',
  'report-to',
  'retry-after',
  'sec-ch-ua',
  'sec-ch-ua-mobile',
  'sec-ch-ua-platform',
  'sec-fetch-dest',
  'sec-fetch-mode',
  'sec-fetch-site',
  'sec-fetch-user',
  'sec-websocket-accept',
  'sec-websocket-extensions',
  'sec-websocket-key',
  'sec-websocket-protocol',
  'sec-websocket-version',
  'server-timing',
  'strict-transport-security',
  'timing-allow-origin',
  'traceparent',
  'tracestate',
  'upgrade-insecure-requests',
  'vary',
  'warning',
  'www-authenticate',
  'x-amz-cf-id',
  'x-amzn-trace-id',
  'x-b3-flags',
  'x-b3-parentspanid',
  'x-b3-sampled',
  'x-b3-spanid',
  'x-b3-traceid',
  'x-content-type-options',
  'x-correlation-id',
  'x-csrf-token',
  'x-frame-options',
  'x-ot-span-context',
  'x-powered-by',
  'x-real-ip',
  'x-requested-with',
  'x-robots-tag',
  'x-xss-protection',
] as const;

/** Interned names; the index is what {@link lookupName} answers. */
export const NAMES: readonly string[] = [
  ...WELL_KNOWN_NAMES,
  ...COMMON.filter((name) => !WELL_KNOWN_IDS.has(name)),
];
/** The well-known id of each interned name, or −1. */
export const NAME_IDS: Int16Array = Int16Array.from(NAMES, (name) => WELL_KNOWN_IDS.get(name) ?? -1);

/** Names which frame a message or end a connection, and so are looked at while they are read. */
export const NameRole = {
  none: 0,
  host: 1,
  contentLength: 2,
  transferEncoding: 3,
  connection: 4,
  upgrade: 5,
  expect: 6,
} as const;

const ROLES: Readonly<Record<string, number>> = {
  host: NameRole.host,
  'content-length': NameRole.contentLength,
  'transfer-encoding': NameRole.transferEncoding,
  connection: NameRole.connection,
  upgrade: NameRole.upgrade,
  expect: NameRole.expect,
};

export const NAME_ROLES: Uint8Array = Uint8Array.from(NAMES, (name) => ROLES[name] ?? NameRole.none);

/** Sets the bit that tells lower from upper case in four letters at once. */
export const FOLD = 0x20202020;

/** One step of the hash of a name: four bytes, folded. */
export function hashStep(hash: number, word: number): number {
  return (Math.imul(hash, 31) + word) | 0;
}

/** Open addressing at a load of about a seventh; 0 is an empty slot. */
const SLOTS = 1024;
const slots = new Int16Array(SLOTS);
/** Where each name's words begin; the words after the last byte are 0. */
const starts = new Int32Array(NAMES.length);
const lengths = new Int32Array(NAMES.length);
const words = new Int32Array(NAMES.reduce((sum, name) => sum + Math.ceil(name.length / 4), 0));

function slotOf(hash: number): number {
  return (hash ^ (hash >>> 10) ^ (hash >>> 20)) & (SLOTS - 1);
}

for (let index = 0, at = 0; index < NAMES.length; index++) {
  const name = NAMES[index] as string;
  starts[index] = at;
  lengths[index] = name.length;
  let hash = 0;
  for (let i = 0; i < name.length; i += 4) {
    let word = 0;
    for (let k = 0; k < 4 && i + k < name.length; k++) word |= (name.charCodeAt(i + k) | 0x20) << (8 * k);
    words[at++] = word;
    hash = hashStep(hash, word);
  }
  let slot = slotOf(hash);
  while (slots[slot] !== 0) slot = (slot + 1) & (SLOTS - 1);
  slots[slot] = index + 1;
}

/**
 * Finds a name of `length` bytes at `at`, any case, four bytes at a time. Its folded words hash to `hash`; none of its
 * bytes is below 0x20: without those, only letters fold to the letters, digits and hyphens of the names in the table.
 * @param last the name's last, partial word, folded and with zeros behind; unused when there is none.
 * @returns its index in {@link NAMES}, or −1.
 */
export function lookupName(bytes: DataView, at: number, length: number, hash: number, last: number): number {
  let slot = slotOf(hash);
  for (;;) {
    const index = (slots[slot] as number) - 1;
    if (index < 0) return -1;
    if (lengths[index] === length) {
      let word = starts[index] as number;
      let p = 0;
      while (p + 4 <= length && (bytes.getInt32(at + p, true) | FOLD) === words[word]) {
        p += 4;
        word++;
      }
      if (p === length || (p + 4 > length && last === words[word])) return index;
    }
    slot = (slot + 1) & (SLOTS - 1);
  }
}
