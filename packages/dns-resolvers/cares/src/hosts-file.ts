import { isIP } from 'node:net';

/** Addresses by name (in lower case, without a final dot). */
export type HostsTable = ReadonlyMap<string, readonly string[]>;

/** Parses `/etc/hosts` (hosts(5)): an address, then names; `#` begins a comment. A line without a valid address is passed over. */
export function parseHosts(text: string): HostsTable {
  const table = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const [address, ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    if (isIP(address) === 0 || address.includes('%')) continue;
    for (const name of names) {
      const key = name.toLowerCase().replace(/\.$/, '');
      const known = table.get(key);
      if (known === undefined) table.set(key, [address]);
      else if (!known.includes(address)) known.push(address);
    }
  }
  return table;
}
