import {
  type LocalReply,
  parseGrpcRetryOn,
  parseRetryOn,
  type RequestHeaders,
  type WellKnownHeader,
  wellKnownId,
} from '@dragoman/core';
import { readWhole } from './timeouts.ts';

const isWhole = (value: string): boolean => readWhole(value) !== undefined;

/** What each header that can be checked must hold. */
const CHECKS: Readonly<Partial<Record<WellKnownHeader, (value: string) => boolean>>> = {
  'x-envoy-upstream-rq-timeout-ms': isWhole,
  'x-envoy-upstream-rq-per-try-timeout-ms': isWhole,
  'x-envoy-max-retries': isWhole,
  'x-envoy-retry-on': (value) => parseRetryOn(value).unknown.length === 0,
  'x-envoy-retry-grpc-on': (value) => parseGrpcRetryOn(value).unknown.length === 0,
};

/** A header of `strict_check_headers`. */
export interface StrictHeader {
  readonly name: string;
  readonly id: number;
  isValid(value: string): boolean;
}

/** Undefined for a name that cannot be checked. */
export function strictHeader(name: string): StrictHeader | undefined {
  const known = name as WellKnownHeader;
  const isValid = Object.hasOwn(CHECKS, name) ? CHECKS[known] : undefined;
  return isValid === undefined ? undefined : { name, id: wellKnownId(known), isValid };
}

/** The answer to a request in which one of `headers` holds something else than it should. */
export function strictHeaderProblem(
  request: RequestHeaders,
  headers: readonly StrictHeader[],
): LocalReply | undefined {
  for (const { name, id, isValid } of headers) {
    const value = request.getKnown(id);
    if (value === undefined || isValid(value)) continue;
    return {
      status: 400,
      body: `invalid header '${name}' with value '${value}'`,
      details: `request_headers_failed_strict_check{${name}}`,
    };
  }
  return undefined;
}
