import { WELL_KNOWN_IDS, WELL_KNOWN_NAMES } from '@dragoman/core';
import { TOKEN_LOWER } from './chars.ts';

/**
 * Names met often enough to be worth an entry: an interned name costs no string. All in lower case.
 * Measured (bench/codec.bench.ts, twelve headers): 15 ns for each name against 45 ns with a substring and a Map.
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

/** Open addressing at a load of about a seventh; 0 is an empty slot. */
const SLOTS = 1024;
const slots = new Int16Array(SLOTS);
const starts = new Int32Array(NAMES.length + 1);
const bytes = Buffer.from(NAMES.join(''), 'latin1');

for (let index = 0, offset = 0; index < NAMES.length; index++) {
  const name = NAMES[index] as string;
  starts[index] = offset;
  offset += name.length;
  starts[index + 1] = offset;
  let hash = 0;
  for (let i = 0; i < name.length; i++) hash = ((hash << 5) - hash + name.charCodeAt(i)) | 0;
  let slot = (hash ^ (hash >>> 10)) & (SLOTS - 1);
  while (slots[slot] !== 0) slot = (slot + 1) & (SLOTS - 1);
  slots[slot] = index + 1;
}

/**
 * Finds the name in `data[start, end)`, any case, whose lower-case bytes hash to `hash` (`31 h + c`, modulo 2³²).
 * @returns its index in {@link NAMES}, or −1.
 */
export function lookupName(data: Uint8Array, start: number, end: number, hash: number): number {
  let slot = (hash ^ (hash >>> 10)) & (SLOTS - 1);
  for (;;) {
    const index = (slots[slot] as number) - 1;
    if (index < 0) return -1;
    let offset = starts[index] as number;
    if ((starts[index + 1] as number) - offset === end - start) {
      let p = start;
      while (p < end && TOKEN_LOWER[data[p] as number] === bytes[offset]) {
        p++;
        offset++;
      }
      if (p === end) return index;
    }
    slot = (slot + 1) & (SLOTS - 1);
  }
}
