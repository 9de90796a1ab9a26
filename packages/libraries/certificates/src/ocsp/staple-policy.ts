import type { Certificate } from '../certificate/certificate.ts';
import { detailsOf } from '../certificate/details.ts';
import { type OcspResponse, ocspExpired, ocspFits } from './response.ts';

/** `DownstreamTlsContext.ocsp_staple_policy`. Default `LENIENT_STAPLING`. */
export type OcspStaplePolicy = 'LENIENT_STAPLING' | 'STRICT_STAPLING' | 'MUST_STAPLE';

/**
 * What to do about stapling for one client:
 * - `staple`: send the response (`ssl.ocsp_staple_responses`)
 * - `omit`: go on without (`ssl.ocsp_staple_omitted`)
 * - `fail`: do not use this certificate (`ssl.ocsp_staple_failed`)
 * - `not_asked`: the client did not ask, which counts nowhere
 */
export type OcspStapleAction = 'staple' | 'omit' | 'fail' | 'not_asked';

export interface StapleQuestion {
  readonly policy: OcspStaplePolicy;
  /** The certificate wants a response stapled: counts as `MUST_STAPLE`. */
  readonly mustStaple: boolean;
  readonly response: OcspResponse | undefined;
  /** The ClientHello has `status_request`. */
  readonly asked: boolean;
  /** Wall time in ms. */
  readonly nowMs: number;
}

export function ocspStapleAction(question: StapleQuestion): OcspStapleAction {
  const { policy, mustStaple, response, asked, nowMs } = question;
  if (!asked) return 'not_asked';
  if (response !== undefined && !ocspExpired(response, nowMs)) return 'staple';
  if (mustStaple || policy === 'MUST_STAPLE') return 'fail';
  return policy === 'STRICT_STAPLING' && response !== undefined ? 'fail' : 'omit';
}

/** What is wrong with a certificate, its response and the policy when they are configured, in Envoy's words; undefined for nothing. */
export function ocspConfigProblem(
  certificate: Certificate,
  response: OcspResponse | undefined,
  policy: OcspStaplePolicy,
): string | undefined {
  if (response !== undefined)
    return ocspFits(response, certificate) ? undefined : 'OCSP response does not match its TLS certificate';
  if (detailsOf(certificate).mustStaple) return 'OCSP response is required for must-staple certificate';
  return policy === 'MUST_STAPLE' ? 'Required OCSP response is missing from TLS context' : undefined;
}
