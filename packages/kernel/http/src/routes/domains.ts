import { ConfigError } from '@dragoman/core';
import { asciiLower, utf8Bytes } from '@dragoman/matching';
import { portStart } from '../path/host.ts';

/** Wildcard domains of one length, without the star. */
interface WildcardGroup<T> {
  readonly length: number;
  readonly hosts: Map<string, T>;
}

/**
 * Virtual hosts by domain: exact first, then the longest suffix (`*.example.com`), then the longest prefix
 * (`example.*`), then `*`. Hosts are compared without regard to case, ports with what the config says.
 */
export class DomainTable<T> {
  private readonly ignorePort: boolean;
  private readonly exact = new Map<string, T>();
  private readonly suffixes: WildcardGroup<T>[] = [];
  private readonly prefixes: WildcardGroup<T>[] = [];
  private fallback: T | undefined = undefined;
  private onlyFallback = true;

  /** @param ignorePort `ignore_port_in_host_matching` */
  constructor(ignorePort: boolean) {
    this.ignorePort = ignorePort;
  }

  /** @throws ConfigError when the domain is there already. */
  add(text: string, host: T): void {
    const domain = asciiLower(utf8Bytes(text));
    if (domain === '') throw ConfigError.at('', 'a domain may not be empty');
    if (domain === '*') {
      if (this.fallback !== undefined)
        throw ConfigError.at('', 'only one virtual host may have the domain "*"');
      this.fallback = host;
      return;
    }
    this.onlyFallback = false;
    let hosts = this.exact;
    let key = domain;
    if (domain.startsWith('*')) {
      key = domain.slice(1);
      hosts = group(this.suffixes, key.length);
    } else if (domain.endsWith('*')) {
      key = domain.slice(0, -1);
      hosts = group(this.prefixes, key.length);
    }
    if (hosts.has(key))
      throw ConfigError.at('', `the domain "${text}" is taken already; domains must be unique`);
    hosts.set(key, host);
  }

  /** The host of the domain `*`. */
  get rest(): T | undefined {
    return this.fallback;
  }

  /** @param authority `:authority`, empty when there is none */
  find(authority: string): T | undefined {
    if (this.onlyFallback) return this.fallback;
    if (authority === '') return undefined;
    let host = authority;
    if (this.ignorePort) {
      const port = portStart(host);
      if (port >= 0) host = host.slice(0, port);
    }
    // Clients send lower case: only a miss pays for folding.
    let found = this.exact.get(host);
    if (found !== undefined) return found;
    const lower = asciiLower(host);
    if (lower !== host) {
      host = lower;
      found = this.exact.get(host);
      if (found !== undefined) return found;
    }
    for (const { length, hosts } of this.suffixes) {
      // A wildcard stands for one character at least.
      if (length >= host.length) continue;
      found = hosts.get(host.slice(host.length - length));
      if (found !== undefined) return found;
    }
    for (const { length, hosts } of this.prefixes) {
      if (length >= host.length) continue;
      found = hosts.get(host.slice(0, length));
      if (found !== undefined) return found;
    }
    return this.fallback;
  }
}

/** The group of a length; groups are kept from the longest to the shortest. */
function group<T>(groups: WildcardGroup<T>[], length: number): Map<string, T> {
  const at = groups.findIndex((each) => each.length <= length);
  if (at >= 0 && groups[at]?.length === length) return (groups[at] as WildcardGroup<T>).hosts;
  const made: WildcardGroup<T> = { length, hosts: new Map() };
  groups.splice(at < 0 ? groups.length : at, 0, made);
  return made.hosts;
}
