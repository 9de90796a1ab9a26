import type { Counter, Histogram, StatsScope } from '@dragoman/core';

/** `tls_inspector.*`. */
export interface TlsInspectorStats {
  readonly clientHelloTooLarge: Counter;
  readonly tlsFound: Counter;
  readonly tlsNotFound: Counter;
  readonly alpnFound: Counter;
  readonly alpnNotFound: Counter;
  readonly sniFound: Counter;
  readonly sniNotFound: Counter;
  /** How many bytes it took to decide. */
  readonly bytesProcessed: Histogram;
}

export function createStats(root: StatsScope): TlsInspectorStats {
  const scope = root.scope('tls_inspector');
  return {
    clientHelloTooLarge: scope.counter('client_hello_too_large'),
    tlsFound: scope.counter('tls_found'),
    tlsNotFound: scope.counter('tls_not_found'),
    alpnFound: scope.counter('alpn_found'),
    alpnNotFound: scope.counter('alpn_not_found'),
    sniFound: scope.counter('sni_found'),
    sniNotFound: scope.counter('sni_not_found'),
    bytesProcessed: scope.histogram('bytes_processed', 'bytes'),
  };
}
