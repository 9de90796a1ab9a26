import { HELLO_FAILURES, type HelloFailure } from '@dragoman/client-hello';

/** For `%DOWNSTREAM_TRANSPORT_FAILURE_REASON%`. */
export function failureReason(failure: HelloFailure): string {
  const code = (0x1000_0000 + HELLO_FAILURES[failure]).toString(16);
  return `TLS_error|error:${code}:SSL routines:OPENSSL_internal:${failure}:TLS_error_end`;
}
