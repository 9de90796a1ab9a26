import type { CertificateFailure } from './failure-table.ts';

/** Whether a name lies in a tree of names; or why that cannot be told, which refuses the certificate. */
export type Within = 'inside' | 'outside' | CertificateFailure;

const lower = (text: string): string => text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
const inside = (yes: boolean): Within => (yes ? 'inside' : 'outside');
const withoutDot = (text: string): string => (text.endsWith('.') ? text.slice(0, -1) : text);

/**
 * `a.example.com` lies in `example.com`, and in `.example.com`. A wildcard lies in an excluded tree when it could stand for one name
 * of it.
 */
export function hostWithin(host: string, tree: string, excluding: boolean): Within {
  if (tree === '') return 'inside';
  const name = lower(withoutDot(host));
  const base = lower(withoutDot(tree));
  if (excluding && name.startsWith('*.')) {
    const dot = base.indexOf('.');
    if (dot >= 0 && base.slice(dot + 1) === name.slice(2)) return 'inside';
  }
  if (base.startsWith('.')) return inside(name.endsWith(base));
  return inside(name === base || name.endsWith(`.${base}`));
}

const LOCAL_PART = /^[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~.]+$/;
const DOMAIN = /^[A-Za-z0-9\-.]+$/;

/** A tree is a mailbox (`a@b.example`), a host (`b.example`), or all hosts below one (`.b.example`). */
export function emailWithin(address: string, tree: string, anyCase: boolean): Within {
  const [local = '', domain, ...more] = address.split('@');
  if (domain === undefined || more.length > 0 || !LOCAL_PART.test(local) || !DOMAIN.test(domain))
    return 'name_syntax';
  const parts = (tree.startsWith('@') ? tree.slice(1) : tree).split('@');
  if (parts.length > 2) return 'name_syntax';
  const base = parts[parts.length - 1] as string;
  if (!DOMAIN.test(base)) return 'name_syntax';
  if (parts.length === 1)
    return inside(base.startsWith('.') ? lower(domain).endsWith(lower(base)) : lower(domain) === lower(base));
  const mailbox = parts[0] as string;
  if (!LOCAL_PART.test(mailbox)) return 'name_syntax';
  const same = anyCase ? lower(mailbox) === lower(local) : mailbox === local;
  return inside(same && lower(domain) === lower(base));
}

/**
 * The host of a URI with an authority, against a host or `.` and a domain. A user before the host and an address in brackets are
 * refused: who the host is would depend on who reads it.
 */
export function uriWithin(uri: string, tree: string): Within {
  const authority = /^[^:/?#]+:\/\/([^/?#]*)/.exec(uri)?.[1];
  const host = authority?.replace(/:[0-9]*$/, '');
  if (host === undefined || !/^[A-Za-z0-9._-]+$/.test(host)) return 'name_syntax';
  return inside(tree.startsWith('.') ? lower(host).endsWith(lower(tree)) : lower(host) === lower(tree));
}

/** An address, against an address and a mask. IPv4 never lies in IPv6. */
export function ipWithin(address: Buffer, tree: Buffer): Within {
  if (address.length !== 4 && address.length !== 16) return 'name_syntax';
  if (tree.length !== 8 && tree.length !== 32) return 'constraint_syntax';
  const half = tree.length / 2;
  if (!isPrefix(tree.subarray(half))) return 'constraint_syntax';
  if (half !== address.length) return 'outside';
  return inside(
    address.every((byte, i) => ((byte ^ (tree[i] as number)) & (tree[half + i] as number)) === 0),
  );
}

/** Ones, then zeros. */
function isPrefix(mask: Buffer): boolean {
  const bits = Array.from(mask, (byte) => byte.toString(2).padStart(8, '0')).join('');
  return /^1*0*$/.test(bits);
}

/** BoringSSL's guess whether a common name is meant as a host. */
export function looksLikeHost(name: string): boolean {
  const bare = withoutDot(name).replace(/^\*\./, '');
  return /^[A-Za-z0-9_:][A-Za-z0-9_:-]*(\.[A-Za-z0-9_:][A-Za-z0-9_:-]*)*$/.test(bare);
}
