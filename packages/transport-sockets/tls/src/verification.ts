import { type CertificateFailure, FAILURE_TABLE, type FailureCounter } from '@dragoman/certificates';
import type { Counter } from '@dragoman/core';
import type { SslStats } from './stats.ts';

/** Counts a certificate that was refused, or was accepted although something is wrong with it. */
export function countVerification(stats: SslStats, reason: CertificateFailure): void {
  counterOf(stats, FAILURE_TABLE[reason].counter).inc();
}

function counterOf(stats: SslStats, name: FailureCounter): Counter {
  switch (name) {
    case 'fail_verify_no_cert':
      return stats.failVerifyNoCert;
    case 'fail_verify_san':
      return stats.failVerifySan;
    case 'fail_verify_cert_hash':
      return stats.failVerifyCertHash;
    case 'fail_verify_error':
      return stats.failVerifyError;
  }
}
