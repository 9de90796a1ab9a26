import { latin1Slice } from '@dragoman/core';
import { Cursor, uint16List } from './cursor.ts';
import type { HelloFailure } from './failures.ts';

export const EXTENSION = {
  serverName: 0,
  statusRequest: 5,
  supportedGroups: 10,
  pointFormats: 11,
  signatureAlgorithms: 13,
  alpn: 16,
  sessionTicket: 35,
  preSharedKey: 41,
  supportedVersions: 43,
} as const;

const MAX_HOST_NAME = 255;

export interface HelloExtension {
  readonly type: number;
  readonly data: Buffer;
}

/** A ClientHello's parts; all of them lie in the message. */
export interface ClientHello {
  /** `legacy_version`. */
  readonly version: number;
  readonly sessionId: Buffer;
  readonly cipherSuites: Buffer;
  readonly extensions: readonly HelloExtension[];
  /** Empty when there is none. */
  readonly serverName: string;
  /** Undefined when there are none, or they are malformed, which is for the TLS stack to say. */
  readonly applicationProtocols: readonly string[] | undefined;
}

/** The first extension of a type, which is what counts. */
export function extensionData({ extensions }: ClientHello, type: number): Buffer | undefined {
  return extensions.find((extension) => extension.type === type)?.data;
}

/** The numbers of an extension that is a list of them after a length of two bytes (groups, signature algorithms); undefined without it. */
export function extensionNumbers(hello: ClientHello, type: number): number[] | undefined {
  const data = extensionData(hello, type);
  if (data === undefined) return undefined;
  const cursor = new Cursor(data);
  const list = cursor.vector16();
  return list === undefined || cursor.left > 0 ? [] : uint16List(list);
}

/** @param message of the handshake, without its header */
export function parseClientHello(message: Buffer): ClientHello | HelloFailure {
  const cursor = new Cursor(message);
  const version = cursor.uint16();
  const random = cursor.take(32);
  const sessionId = cursor.vector8();
  const cipherSuites = cursor.vector16();
  const compressions = cursor.vector8();
  if (version === undefined || random === undefined || sessionId === undefined || sessionId.length > 32)
    return 'CLIENTHELLO_PARSE_FAILED';
  if (cipherSuites === undefined || cipherSuites.length < 2 || cipherSuites.length % 2 !== 0)
    return 'CLIENTHELLO_PARSE_FAILED';
  if (compressions === undefined || compressions.length === 0) return 'CLIENTHELLO_PARSE_FAILED';
  const extensions = readExtensions(cursor);
  if (extensions === undefined) return 'CLIENTHELLO_PARSE_FAILED';
  const find = (wanted: number) => extensions.find(({ type }) => type === wanted)?.data;
  const name = find(EXTENSION.serverName);
  const serverName = name === undefined ? '' : readServerName(name);
  if (serverName === undefined) return 'CLIENTHELLO_TLSEXT';
  const alpn = find(EXTENSION.alpn);
  return {
    version,
    sessionId,
    cipherSuites,
    extensions,
    serverName,
    applicationProtocols: alpn === undefined ? undefined : readProtocols(alpn),
  };
}

function readExtensions(cursor: Cursor): HelloExtension[] | undefined {
  // SSL 3.0 knew none.
  if (cursor.left === 0) return [];
  const all = cursor.vector16();
  if (all === undefined || cursor.left > 0) return undefined;
  const list = new Cursor(all);
  const extensions: HelloExtension[] = [];
  while (list.left > 0) {
    const type = list.uint16();
    const data = list.vector16();
    if (type === undefined || data === undefined) return undefined;
    extensions.push({ type, data });
  }
  return extensions;
}

/** One host name, and nothing else: other kinds were never defined. */
function readServerName(data: Buffer): string | undefined {
  const cursor = new Cursor(data);
  const list = cursor.vector16();
  if (list === undefined || cursor.left > 0) return undefined;
  const names = new Cursor(list);
  const kind = names.uint8();
  const name = names.vector16();
  if (kind !== 0 || name === undefined || names.left > 0) return undefined;
  if (name.length === 0 || name.length > MAX_HOST_NAME || name.includes(0)) return undefined;
  return latin1Slice(name, 0, name.length);
}

function readProtocols(data: Buffer): string[] | undefined {
  const cursor = new Cursor(data);
  const list = cursor.vector16();
  if (list === undefined || cursor.left > 0 || list.length < 2) return undefined;
  const names = new Cursor(list);
  const protocols: string[] = [];
  while (names.left > 0) {
    const name = names.vector8();
    if (name === undefined || name.length === 0) return undefined;
    protocols.push(latin1Slice(name, 0, name.length));
  }
  return protocols;
}
