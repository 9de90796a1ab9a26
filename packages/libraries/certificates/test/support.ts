import { type CertificateOptions, TestAuthority, type TestCertificate } from '@dragoman/testing';
import {
  CertificateValidator,
  FAILURE_TABLE,
  type ValidatorConfig,
  type VerifyOptions,
  type VerifyResult,
} from '../src/index.ts';

/** A root, an authority below it, and leaves below that. */
export class Chain {
  readonly root: TestAuthority;
  readonly between: TestAuthority;

  constructor(root: CertificateOptions = {}, between: CertificateOptions = {}) {
    this.root = TestAuthority.root(root);
    this.between = this.root.intermediate(between);
  }

  leaf(options: CertificateOptions = {}): TestCertificate {
    return this.between.issue(options);
  }
}

/** What `verify` says, in one word and a depth: `ok`, `expired@1`. */
export function verdict(result: VerifyResult): string {
  return result.ok ? 'ok' : `${result.reason}@${result.depth}`;
}

export function verify(
  config: ValidatorConfig,
  chain: readonly Buffer[],
  options: Partial<VerifyOptions> & { readonly nowMs?: number } = {},
): VerifyResult {
  const { nowMs = Date.now(), ...rest } = options;
  return new CertificateValidator(config).verify(chain, nowMs, { peer: 'server', ...rest });
}

/** Envoy's words for what stands in the table for the chain. */
export function chainDetail(reason: keyof typeof FAILURE_TABLE, depth: number): string {
  const place = `X509_verify_cert: certificate verification error at depth ${depth}`;
  return `verify cert failed: ${place}: ${FAILURE_TABLE[reason].text}`;
}
