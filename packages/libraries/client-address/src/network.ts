import { isIP } from 'node:net';
import { ConfigError } from '@dragoman/core';
import { masksOf, parseIp, type Words } from './ip-words.ts';

/** A network as the API writes it: `core.v3.CidrRange` of Envoy or of xDS. */
export interface Network {
  readonly addressPrefix: string;
  /** Bits. Unset: 0, every address of the family. */
  readonly prefixLen?: number | undefined;
}

/** A {@link Network}, read. */
export interface ParsedNetwork {
  readonly version: 4 | 6;
  readonly bits: number;
  readonly words: Words;
  readonly masks: Words;
}

/** @throws ConfigError at `address_prefix` or `prefix_len` */
export function parseNetwork({ addressPrefix, prefixLen: bits = 0 }: Network): ParsedNetwork {
  const version = ipVersion(addressPrefix);
  if (version === 0)
    throw ConfigError.at('address_prefix', `"${addressPrefix}" is not an IP address; expected e.g. 10.0.0.0`);
  const most = version === 4 ? 32 : 128;
  if (bits > most)
    throw ConfigError.at('prefix_len', `is ${bits}, an IPv${version} address has ${most} bits`);
  return { version, bits, words: parseIp(addressPrefix, version), masks: masksOf(bits) };
}

/** 4, 6, or 0 for what is no IP address. A zone makes it none. */
export function ipVersion(text: string): 0 | 4 | 6 {
  return text.includes('%') ? 0 : (isIP(text) as 0 | 4 | 6);
}
