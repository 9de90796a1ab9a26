import { type HeaderMap, wellKnownId } from '@dragoman/core';

const ID_VIA = wellKnownId('via');

/** Appends to `via` as Envoy does: to what stands there, after a comma and a space. */
export function appendVia(headers: HeaderMap, via: string): void {
  const before = headers.hasKnown(ID_VIA) ? headers.getJoined('via') : '';
  headers.setKnown(ID_VIA, before === undefined || before === '' ? via : `${before}, ${via}`);
}
