/**
 * Header values are strings of bytes (latin1), texts of a config are Unicode: what is compared with a header must
 * become bytes first. Text in ASCII, nearly all there is, is both at once and comes back as it is.
 */
export function utf8Bytes(text: string): string {
  return NOT_ASCII.test(text) ? Buffer.from(text, 'utf8').toString('latin1') : text;
}

/** The text whose UTF-8 bytes `bytes` are; what is not UTF-8 becomes U+FFFD. */
export function utf8Text(bytes: string): string {
  return NOT_ASCII.test(bytes) ? Buffer.from(bytes, 'latin1').toString('utf8') : bytes;
}

/** Lower case in ASCII only: `ignore_case` of the matchers does not fold other letters, nor bytes that are parts of one. */
export function asciiLower(text: string): string {
  return NOT_ASCII.test(text)
    ? text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())
    : text.toLowerCase();
}

const NOT_ASCII = /[^\x00-\x7f]/;
