/** Why bytes are no ClientHello: BoringSSL's reasons and their numbers, as Envoy logs them. */
export const HELLO_FAILURES = {
  WRONG_VERSION_NUMBER: 0xf7,
  HTTP_REQUEST: 0x9c,
  HTTPS_PROXY_REQUEST: 0x9b,
  ENCRYPTED_LENGTH_TOO_LONG: 0x92,
  DATA_LENGTH_TOO_LONG: 0x88,
  UNEXPECTED_RECORD: 0xe1,
  UNEXPECTED_MESSAGE: 0xdf,
  EXCESSIVE_MESSAGE_SIZE: 0x96,
  CLIENTHELLO_PARSE_FAILED: 0x83,
  CLIENTHELLO_TLSEXT: 0x84,
} as const;

export type HelloFailure = keyof typeof HELLO_FAILURES;
