/** Byte classes. Indexed by the byte; 0 means "not in the class". */

export const SP = 0x20;
export const HTAB = 0x09;
export const CR = 0x0d;
export const LF = 0x0a;
export const COLON = 0x3a;
export const SLASH = 0x2f;

function table(member: (code: number, char: string) => number): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, code) => member(code, String.fromCharCode(code)));
}

/** RFC 9110 section 5.6.2: a token's bytes, each mapped to its lower-case form. */
export const TOKEN_LOWER: Uint8Array = table((_, char) =>
  /[!#$%&'*+\-.^_`|~0-9A-Za-z]/.test(char) ? char.toLowerCase().charCodeAt(0) : 0,
);

/** RFC 9110 section 5.5: HTAB, SP, VCHAR and obs-text. */
export const FIELD_VALUE: Uint8Array = table((code) =>
  (code >= 0x20 && code !== 0x7f) || code === HTAB ? 1 : 0,
);

/** What may stand in a request target: VCHAR, and obs-text because clients send raw UTF-8 and Envoy lets it pass. */
export const TARGET: Uint8Array = table((code) => (code > 0x20 && code !== 0x7f ? 1 : 0));

/**
 * RFC 3986 section 3.2.2: reg-name, without the comma. A comma is legal there, but two Host lines that some hop has
 * folded into one look the same, and no name in use has one.
 */
export const REG_NAME: Uint8Array = table((_, char) => (/[A-Za-z0-9\-._~%!$&'()*+;=]/.test(char) ? 1 : 0));

/** The inside of an IP literal's brackets (RFC 3986 section 3.2.2; no IPvFuture, no zone). */
export const IP_LITERAL: Uint8Array = table((_, char) => (/[0-9A-Fa-f:.]/.test(char) ? 1 : 0));

/** A hex digit's value plus 1. */
export const HEX: Uint8Array = table((_, char) =>
  /[0-9A-Fa-f]/.test(char) ? Number.parseInt(char, 16) + 1 : 0,
);
