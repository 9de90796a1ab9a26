/** Why bytes are no ClientHello: BoringSSL's reasons and their numbers, as Envoy logs them. */
export const FAILURES = {
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

export type Failure = keyof typeof FAILURES;

/** For `%DOWNSTREAM_TRANSPORT_FAILURE_REASON%`. */
export function failureReason(failure: Failure): string {
  const code = (0x1000_0000 + FAILURES[failure]).toString(16);
  return `TLS_error|error:${code}:SSL routines:OPENSSL_internal:${failure}:TLS_error_end`;
}
