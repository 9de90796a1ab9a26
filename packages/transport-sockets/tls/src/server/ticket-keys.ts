import { hkdfSync, randomBytes } from 'node:crypto';
import type { TlsSessionTicketKeys } from '@dragoman/api';
import { type ClientHello, Cursor, EXTENSION, extensionData } from '@dragoman/client-hello';
import { atPath, ConfigError } from '@dragoman/core';
import type { SourceReader } from '@dragoman/secrets';

/** Of a key as Envoy has them: a name, a key of HMAC-SHA256 and one of AES-256. */
const CONFIGURED_BYTES = 80;
/** Of Node's: a name, a key of HMAC-SHA256 and one of AES-128, 16 bytes each. */
const NODE_BYTES = 48;
const NAME_BYTES = 16;
/**
 * Tickets are encrypted with keys of one listener alone. After this time there are new ones, so that a key that leaks opens two days
 * and not years (BoringSSL changes its keys as often).
 */
const OWN_LIFE_MS = 2 * 24 * 3600 * 1000;
/** A client shows one or two. */
const MAX_IDENTITIES = 8;

/**
 * `session_ticket_keys`: the first one encrypts, all of them decrypt.
 * @throws ConfigError with paths below the TlsSessionTicketKeys
 */
export function readTicketKeys({ keys }: TlsSessionTicketKeys, reader: SourceReader): readonly Buffer[] {
  if (keys.length === 0) throw ConfigError.at('keys', 'is empty: give at least one key of 80 bytes');
  return keys.map((source, i) =>
    atPath(`keys[${i}]`, () => {
      const key = reader.read(source);
      if (key.length !== CONFIGURED_BYTES)
        throw ConfigError.at(
          '',
          `Incorrect TLS session ticket key length. Length ${key.length}, expected length ${CONFIGURED_BYTES}: make one with "openssl rand ${CONFIGURED_BYTES}"`,
        );
      return key;
    }),
  );
}

const derive = (from: Uint8Array, salt: Uint8Array | string, info: string): Buffer =>
  Buffer.from(hkdfSync('sha256', from, salt, info, NODE_BYTES));

/**
 * The keys of tickets as Node has them. All bytes of a configured key count, and wherever it is configured it makes the same.
 * @param salt of those who cannot take tickets of others
 */
export const nodeTicketKeys = (configured: readonly Buffer[], salt: Uint8Array): readonly Buffer[] =>
  configured.map((key) => derive(key, salt, 'dragoman tls ticket key'));

/** Which of the two days that keys of one's own live it is. */
export const ownTicketPeriod = (nowMs: number): number => Math.floor(nowMs / OWN_LIFE_MS);

/** The same on every worker, so that a ticket of one is good on another. */
export const ownTicketKey = (processKey: Uint8Array, idContext: string, period: number): Buffer =>
  derive(processKey, idContext, `dragoman tls tickets ${period}`);

export const randomTicketKey = (): Buffer => randomBytes(NODE_BYTES);

/**
 * Node has one key at a time, and so the key is chosen for a connection: the one that the client's ticket names, else the first.
 * @param keys Node's
 * @returns its index
 */
export function ticketKeyFor(hello: ClientHello, keys: readonly Buffer[]): number {
  if (keys.length < 2) return 0;
  const ticket = extensionData(hello, EXTENSION.sessionTicket);
  const named = ticket === undefined ? -1 : indexOfName(ticket, keys);
  if (named >= 0) return named;
  const offer = extensionData(hello, EXTENSION.preSharedKey);
  return offer === undefined ? 0 : Math.max(0, indexOfOffer(offer, keys));
}

/** `OfferedPsks` of TLS 1.3, up to its binders. */
function indexOfOffer(offer: Buffer, keys: readonly Buffer[]): number {
  const list = new Cursor(offer).vector16();
  if (list === undefined) return -1;
  const identities = new Cursor(list);
  for (let i = 0; i < MAX_IDENTITIES; i++) {
    const identity = identities.vector16();
    if (identity === undefined) return -1;
    const index = indexOfName(identity, keys);
    if (index >= 0) return index;
    identities.take(TICKET_AGE_BYTES);
  }
  return -1;
}

const TICKET_AGE_BYTES = 4;

const indexOfName = (ticket: Buffer, keys: readonly Buffer[]): number =>
  keys.findIndex(
    (key) => ticket.length > NAME_BYTES && key.compare(ticket, 0, NAME_BYTES, 0, NAME_BYTES) === 0,
  );
