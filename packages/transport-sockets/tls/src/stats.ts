import type { Counter, StatsScope } from '@dragoman/core';

/** `listener.<address>.ssl.*` and `cluster.<name>.ssl.*`. */
export interface SslStats {
  readonly connectionError: Counter;
  readonly handshake: Counter;
  readonly sessionReused: Counter;
  readonly noCertificate: Counter;
  readonly failVerifyNoCert: Counter;
  readonly failVerifyError: Counter;
  readonly failVerifySan: Counter;
  readonly failVerifyCertHash: Counter;
  readonly ocspStapleFailed: Counter;
  readonly ocspStapleOmitted: Counter;
  readonly ocspStapleResponses: Counter;
  readonly ocspStapleRequests: Counter;
  readonly wasKeyUsageInvalid: Counter;
  /** `ciphers.<name>`, `versions.<name>`, `curves.<name>`: made with the first handshake that has them, as in Envoy. */
  readonly ciphers: CounterFamily;
  readonly versions: CounterFamily;
  readonly curves: CounterFamily;
  /** Unix time in seconds at which a certificate expires. */
  setExpiration(certificate: string, seconds: number): void;
}

export function createSslStats(parent: StatsScope): SslStats {
  const scope = parent.scope('ssl');
  return {
    connectionError: scope.counter('connection_error'),
    handshake: scope.counter('handshake'),
    sessionReused: scope.counter('session_reused'),
    noCertificate: scope.counter('no_certificate'),
    failVerifyNoCert: scope.counter('fail_verify_no_cert'),
    failVerifyError: scope.counter('fail_verify_error'),
    failVerifySan: scope.counter('fail_verify_san'),
    failVerifyCertHash: scope.counter('fail_verify_cert_hash'),
    ocspStapleFailed: scope.counter('ocsp_staple_failed'),
    ocspStapleOmitted: scope.counter('ocsp_staple_omitted'),
    ocspStapleResponses: scope.counter('ocsp_staple_responses'),
    ocspStapleRequests: scope.counter('ocsp_staple_requests'),
    wasKeyUsageInvalid: scope.counter('was_key_usage_invalid'),
    ciphers: new CounterFamily(scope, 'ciphers'),
    versions: new CounterFamily(scope, 'versions'),
    curves: new CounterFamily(scope, 'curves'),
    setExpiration(certificate, seconds) {
      // Every worker says the same.
      scope.gauge(`certificate.${certificate}.expiration_unix_time_seconds`, 'max').set(seconds);
    },
  };
}

/** Counters by the name of what they count. The names are OpenSSL's, of which there are few. */
export class CounterFamily {
  private readonly scope: StatsScope;
  private readonly family: string;
  private readonly counters = new Map<string, Counter>();

  constructor(scope: StatsScope, family: string) {
    this.scope = scope;
    this.family = family;
  }

  inc(name: string): void {
    let counter = this.counters.get(name);
    if (counter === undefined) {
      counter = this.scope.counter(`${this.family}.${name}`);
      this.counters.set(name, counter);
    }
    counter.inc();
  }
}

/** `listener.<address>.server_ssl_socket_factory.*` and `cluster.<name>.client_ssl_socket_factory.*`. */
export interface FactoryStats {
  readonly contextUpdate: Counter;
  /** Not of Envoy's: new files were no good. */
  readonly contextUpdateFailed: Counter;
  readonly secretsNotReady: Counter;
}

export function createFactoryStats(parent: StatsScope, side: 'server' | 'client'): FactoryStats {
  const scope = parent.scope(`${side}_ssl_socket_factory`);
  return {
    contextUpdate: scope.counter('ssl_context_update_by_sds'),
    contextUpdateFailed: scope.counter('ssl_context_update_failed'),
    secretsNotReady: scope.counter(
      side === 'server' ? 'downstream_context_secrets_not_ready' : 'upstream_context_secrets_not_ready',
    ),
  };
}
