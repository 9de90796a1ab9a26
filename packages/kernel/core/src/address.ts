import { isIP } from 'node:net';

/** Where something listens or lives: an IP and a port, or a Unix socket. A value: never changed once made. */
export class Address {
  readonly family: 'ipv4' | 'ipv6' | 'pipe';
  /** The IP without brackets or zone; empty for a Unix socket. */
  readonly ip: string;
  /** 0 … 65535; 0 for a Unix socket. */
  readonly port: number;
  /** Path of a Unix socket (`@name` for an abstract one); empty otherwise. */
  readonly path: string;
  /** As Envoy prints it: `10.0.0.1:80`, `[::1]:80`, `/run/x.sock`, `@abstract`. */
  readonly text: string;

  private constructor(family: Address['family'], ip: string, port: number, path: string) {
    this.family = family;
    this.ip = ip;
    this.port = port;
    this.path = path;
    this.text = family === 'pipe' ? path : family === 'ipv6' ? `[${ip}]:${port}` : `${ip}:${port}`;
  }

  /**
   * An IP and a port. IPv4-mapped IPv6 (`::ffff:10.0.0.1`) becomes IPv4, as in Envoy.
   * @throws RangeError when `ip` is not an IP address.
   */
  static ip(ip: string, port: number): Address {
    const bare = ip.toLowerCase().startsWith('::ffff:') && isIP(ip.slice(7)) === 4 ? ip.slice(7) : ip;
    const version = isIP(bare);
    if (version === 0) throw new RangeError(`"${ip}" is not an IP address`);
    return new Address(version === 4 ? 'ipv4' : 'ipv6', bare, port, '');
  }

  /** An IPv4 address in its usual form, which is not checked: for what the kernel has named. */
  static ipv4(ip: string, port: number): Address {
    return new Address('ipv4', ip, port, '');
  }

  /** A Unix socket; an abstract one begins with `@`. */
  static pipe(path: string): Address {
    return new Address('pipe', '', 0, path);
  }

  /** The inverse of {@link text}; undefined when it is none. */
  static parse(text: string): Address | undefined {
    if (text.startsWith('/') || text.startsWith('@')) return Address.pipe(text);
    const colon = text.lastIndexOf(':');
    if (colon < 0) return undefined;
    const portText = text.slice(colon + 1);
    if (!/^\d{1,5}$/.test(portText)) return undefined;
    const port = Number(portText);
    let host = text.slice(0, colon);
    if (host.startsWith('[') && host.endsWith(']')) host = host.slice(1, -1);
    else if (host.includes(':')) return undefined;
    if (port > 65_535 || isIP(host) === 0) return undefined;
    return Address.ip(host, port);
  }

  /** Of a {@link text} that is known to be one: what is no IP and port is the path of a Unix socket. */
  static of(text: string): Address {
    return Address.parse(text) ?? Address.pipe(text);
  }

  /** The address without its port: `10.0.0.1`, `::1`, or the path. */
  get withoutPort(): string {
    return this.family === 'pipe' ? this.path : this.ip;
  }

  equals(other: Address): boolean {
    return this.text === other.text;
  }

  toString(): string {
    return this.text;
  }
}
