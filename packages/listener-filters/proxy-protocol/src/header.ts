import type { Address } from '@dragoman/core';

/** Both addresses that a header names. */
export interface HeaderAddresses {
  readonly remote: Address;
  readonly local: Address;
}

/** A header that has been read. */
export interface Header {
  readonly version: 1 | 2;
  /** Undefined: LOCAL or UNKNOWN, the socket's own addresses hold. */
  readonly addresses: HeaderAddresses | undefined;
  /** Bytes of all of it. */
  readonly length: number;
  /** Where its TLVs begin; {@link length} when it has none, or they do not count. */
  readonly tlvsAt: number;
}

/**
 * What there is of a header. `more`: not all of it; `bytes` are needed at least, where that is known. `not-found`: these bytes are no header.
 * `endless`: they begin like one of version 1, whose line does not end. `error`: a malformed one.
 */
export type HeaderProgress =
  | { readonly state: 'header'; readonly header: Header }
  | { readonly state: 'more'; readonly version?: 2; readonly bytes: number }
  | { readonly state: 'not-found' | 'endless' }
  | { readonly state: 'error'; readonly version: 1 | 2 };
