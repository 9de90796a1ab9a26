import type { Address } from '@dragoman/core';

interface Entry<T> {
  readonly listener: T;
  readonly ipv6Only: boolean;
}

/** The listeners of a worker that serve, to be found by the address that a connection was made to before it was redirected. */
export class ListenersByAddress<T> {
  /** By text of the address; of several at one (an update and what it replaces) the last holds. */
  private readonly entries = new Map<string, readonly Entry<T>[]>();

  /** In place of the addresses that it had. */
  set(listener: T, addresses: readonly { readonly address: Address; readonly ipv6Only: boolean }[]): void {
    this.delete(listener);
    for (const { address, ipv6Only } of addresses) {
      const others = this.entries.get(address.text) ?? [];
      this.entries.set(address.text, [...others, { listener, ipv6Only }]);
    }
  }

  delete(listener: T): void {
    for (const [text, entries] of this.entries) {
      const left = entries.filter((entry) => entry.listener !== listener);
      if (left.length === 0) this.entries.delete(text);
      else if (left.length < entries.length) this.entries.set(text, left);
    }
  }

  /** The listener at that very address, else the one at its port of all addresses of its family; IPv6's comes last for IPv4. */
  find(address: Address): T | undefined {
    const { family, port, text } = address;
    if (family === 'pipe') return undefined;
    const exact = this.at(text);
    if (exact !== undefined) return exact.listener;
    const ipv6 = this.at(`[::]:${port}`);
    if (family === 'ipv6') return ipv6?.listener;
    return (this.at(`0.0.0.0:${port}`) ?? (ipv6?.ipv6Only === false ? ipv6 : undefined))?.listener;
  }

  private at(text: string): Entry<T> | undefined {
    return this.entries.get(text)?.at(-1);
  }
}
