import { EXTENSION, type ClientHello, Cursor, extensionData, extensionNumbers } from '@dragoman/client-hello';

/** A group that keys are exchanged in. */
export interface Group {
  /** BoringSSL's name, which configs, logs and stats have. */
  readonly name: string;
  readonly id: number;
  /** OpenSSL's name, for a list of groups. */
  readonly openssl: string;
}

const GROUPS: readonly Group[] = [
  { name: 'P-256', id: 23, openssl: 'P-256' },
  { name: 'P-384', id: 24, openssl: 'P-384' },
  { name: 'P-521', id: 25, openssl: 'P-521' },
  { name: 'X25519', id: 29, openssl: 'X25519' },
  { name: 'X25519MLKEM768', id: 0x11ec, openssl: 'X25519MLKEM768' },
];

/** Envoy's. */
export const DEFAULT_GROUPS: readonly string[] = ['X25519', 'P-256'];

/** The names that OpenSSL and RFC 8446 have for them besides, in lower case. */
const OTHER_NAMES: ReadonlyMap<string, string> = new Map([
  ['prime256v1', 'P-256'],
  ['secp256r1', 'P-256'],
  ['secp384r1', 'P-384'],
  ['secp521r1', 'P-521'],
]);

export function groupNamed(name: string): Group | undefined {
  const other = OTHER_NAMES.get(name.toLowerCase()) ?? name;
  return GROUPS.find((group) => group.name.toLowerCase() === other.toLowerCase());
}

const KEY_SHARE = 51;

/**
 * The group in which this server exchanges keys with a client. node:tls tells it to clients only; a server chooses by rules, which
 * OpenSSL follows: of the common groups the first for which the client has sent its part of a key already, else the first; in the
 * server's order.
 *
 * @param clientFirst in the client's order
 * @returns undefined when there is no common one
 */
export function chosenGroup(
  hello: ClientHello,
  groups: readonly Group[],
  tls13: boolean,
  clientFirst: boolean,
): Group | undefined {
  const offered = extensionNumbers(hello, EXTENSION.supportedGroups) ?? [];
  const common = clientFirst
    ? offered.flatMap((id) => groups.filter((group) => group.id === id))
    : groups.filter(({ id }) => offered.includes(id));
  if (!tls13) return common[0];
  const shares = keyShares(hello);
  return common.find(({ id }) => shares.includes(id)) ?? common[0];
}

/** The groups for which a client has sent its part of a key. */
function keyShares(hello: ClientHello): number[] {
  const data = extensionData(hello, KEY_SHARE);
  const list = data === undefined ? undefined : new Cursor(data).vector16();
  if (list === undefined) return [];
  const cursor = new Cursor(list);
  const groups: number[] = [];
  while (cursor.left > 0) {
    const group = cursor.uint16();
    if (group === undefined || cursor.vector16() === undefined) break;
    groups.push(group);
  }
  return groups;
}
