/** RFC 1035 section 2.3.4: octets of a name in text, and of a label. */
const MAX_NAME = 253;
const LABEL = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/i;

/** Whether this can be asked of a DNS server: labels of letters, digits, `-` and `_`; a final dot is allowed. */
export function isDnsName(name: string): boolean {
  const bare = name.endsWith('.') ? name.slice(0, -1) : name;
  return bare.length > 0 && bare.length <= MAX_NAME && bare.split('.').every((label) => LABEL.test(label));
}

/**
 * The names to ask for, in turn, until one has addresses (resolv.conf(5)): a name with fewer dots than `ndots` is tried with each
 * search domain first and as it is last, others the other way round. A name with a final dot is complete.
 */
export function candidates(name: string, search: readonly string[], ndots: number): string[] {
  if (name.endsWith('.')) return [name.slice(0, -1)];
  const dots = name.split('.').length - 1;
  const searched = search.map((domain) => `${name}.${domain}`).filter(isDnsName);
  return dots >= ndots ? [name, ...searched] : [...searched, name];
}

/** RFC 6761 section 6.3: `localhost` and what is below it is the loopback, whatever a server says. */
export function isLocalhost(name: string): boolean {
  return name === 'localhost' || name.endsWith('.localhost');
}
