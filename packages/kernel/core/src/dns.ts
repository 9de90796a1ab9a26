/** Which address families a name is resolved to (Envoy: DnsLookupFamily). */
export type DnsLookupFamily = 'AUTO' | 'V4_ONLY' | 'V6_ONLY' | 'V4_PREFERRED' | 'ALL';

export interface DnsAddress {
  readonly ip: string;
  /** Seconds; Infinity for addresses that do not come from DNS (hosts file, literal). */
  readonly ttlSeconds: number;
}

export type DnsResult =
  /** The name was resolved; `addresses` may be empty (the name exists without such records, or does not exist). */
  | { readonly ok: true; readonly addresses: readonly DnsAddress[] }
  /** The servers failed or did not answer. */
  | { readonly ok: false; readonly reason: string };

/** Turns names into addresses, on main. */
export interface DnsResolver {
  /** Never rejects. An IP literal gives itself. */
  resolve(name: string, family: DnsLookupFamily): Promise<DnsResult>;
  /** Gives up what is under way. */
  close(): void;
}
