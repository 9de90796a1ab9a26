import { type RequestHeaders, wellKnownId } from '@dragoman/core';

const ID_COOKIE = wellKnownId('cookie');

/**
 * The value of the first cookie of a name, as Envoy reads it: without quotes around it, otherwise as it stands; empty when
 * there is none.
 */
export function cookieValue(headers: RequestHeaders, name: string): string {
  if (!headers.hasKnown(ID_COOKIE)) return '';
  for (const line of headers.getAll('cookie')) {
    for (const part of line.split(';')) {
      const equals = part.indexOf('=');
      if (equals < 0) continue;
      let start = 0;
      while (start < equals && part.charCodeAt(start) === 0x20) start++;
      if (equals - start !== name.length || !part.startsWith(name, start)) continue;
      const value = part.slice(equals + 1);
      return value.length >= 2 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
    }
  }
  return '';
}
