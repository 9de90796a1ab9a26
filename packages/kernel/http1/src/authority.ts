import { COLON, IP_LITERAL, REG_NAME } from './chars.ts';

const OPEN = 0x5b;
const CLOSE = 0x5d;
const MAX_PORT_DIGITS = 5;
const MAX_PORT = 65_535;

/**
 * Whether `text` is `host` or `host:port` (RFC 3986 section 3.2): a registered name or an address, in brackets when it is
 * IPv6; no user information, no path, no blank, no list, no empty host, no empty port.
 */
export function isAuthority(text: string, needsPort: boolean): boolean {
  const length = text.length;
  let p = 0;
  if (text.charCodeAt(0) === OPEN) {
    p = 1;
    while (p < length && IP_LITERAL[text.charCodeAt(p)] === 1) p++;
    if (p < 3 || text.charCodeAt(p) !== CLOSE) return false;
    p++;
  } else {
    while (p < length && REG_NAME[text.charCodeAt(p)] === 1) p++;
    if (p === 0) return false;
  }
  if (p === length) return !needsPort;
  if (text.charCodeAt(p) !== COLON) return false;
  const digits = length - p - 1;
  if (digits < 1 || digits > MAX_PORT_DIGITS) return false;
  let port = 0;
  for (p++; p < length; p++) {
    const digit = text.charCodeAt(p) - 0x30;
    if (digit < 0 || digit > 9) return false;
    port = port * 10 + digit;
  }
  return port <= MAX_PORT;
}
