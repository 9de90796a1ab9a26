import { HTAB, SP } from './chars.ts';

/** Without the blanks around it. Only SP and HTAB (RFC 9110 section 5.6.3): `trim()` takes U+00A0 too, which a peer does not. */
export function trimOws(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isOws(text.charCodeAt(start))) start++;
  while (end > start && isOws(text.charCodeAt(end - 1))) end--;
  return text.substring(start, end);
}

function isOws(code: number): boolean {
  return code === SP || code === HTAB;
}

/** The members of a comma-separated list, empty ones included, in lower case. */
export function listMembers(value: string): string[] {
  return value.toLowerCase().split(',').map(trimOws);
}
