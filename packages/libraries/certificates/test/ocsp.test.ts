import { DAY_MS, HOUR_MS, TestAuthority } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import {
  type Certificate,
  type OcspResponse,
  type OcspStaplePolicy,
  ocspConfigProblem,
  ocspExpired,
  ocspFits,
  ocspStapleAction,
  readCertificate,
  readOcspResponse,
} from '../src/index.ts';

const now = Math.floor(Date.now() / 1000) * 1000;
const root = TestAuthority.root();
const leaf = root.issue();
const stapled = root.issue({ tlsFeatures: [5] });

function read(der: Buffer): OcspResponse {
  const result = readOcspResponse(der);
  if (!result.ok) throw new Error(result.error);
  return result.value;
}

function certificate(der: Buffer): Certificate {
  const result = readCertificate(der);
  if (!result.ok) throw new Error(result.error);
  return result.value;
}

const errorOf = (der: Buffer): string => {
  const result = readOcspResponse(der);
  return result.ok ? '' : result.error;
};

describe('OCSP responses', () => {
  it('are read', () => {
    for (const status of ['good', 'revoked', 'unknown'] as const) {
      for (const responder of ['name', 'key'] as const) {
        const times = { thisUpdate: now - HOUR_MS, nextUpdate: now + DAY_MS };
        const response = read(root.ocsp(leaf, { status, responder, ...times }));
        expect(response).toMatchObject({ status, ...times });
        expect(response.serialNumber).toBe(leaf.serial.toString(16).padStart(32, '0').replace(/^00/, ''));
      }
    }
    expect(read(root.ocsp(leaf, { nextUpdate: null })).nextUpdate).toBeUndefined();
  });

  it('belong to a certificate, or not', () => {
    const response = read(root.ocsp(leaf));
    expect(ocspFits(response, certificate(leaf.der))).toBe(true);
    expect(ocspFits(response, certificate(stapled.der))).toBe(false);
  });

  it('expire', () => {
    const response = read(root.ocsp(leaf, { nextUpdate: now }));
    expect(ocspExpired(response, now)).toBe(false);
    expect(ocspExpired(response, now + 1)).toBe(true);
    expect(ocspExpired(read(root.ocsp(leaf, { nextUpdate: null })), now)).toBe(true);
  });

  it('are refused when they are of no use', () => {
    expect(errorOf(root.ocsp(leaf, { responseStatus: 3 }))).toBe('OCSP response was unsuccessful: try later');
    expect(errorOf(root.ocsp(leaf, { responseStatus: 4 }))).toBe('OCSP response was unsuccessful: status 4');
    expect(errorOf(Buffer.from('30030a0100', 'hex'))).toBe('OCSP response has no body');
    expect(errorOf(root.ocsp(leaf, { serials: [1n, 2n] }))).toBe(
      'OCSP Response must be for one certificate only',
    );
    expect(errorOf(root.ocsp(leaf, { serials: [] }))).toBe('expected sequence, found the end');
    expect(errorOf(Buffer.concat([root.ocsp(leaf), Buffer.alloc(1)]))).toBe('there is more than expected');
    expect(errorOf(leaf.der)).toMatch(/^expected enumerated/);
    expect(errorOf(Buffer.alloc(64 * 1024 + 1))).toMatch(/more than 65536/);
  });
});

describe('ocsp_staple_policy', () => {
  const fresh = read(root.ocsp(leaf, { nextUpdate: now + DAY_MS }));
  const stale = read(root.ocsp(leaf, { nextUpdate: now - DAY_MS }));
  const policies: readonly OcspStaplePolicy[] = ['LENIENT_STAPLING', 'STRICT_STAPLING', 'MUST_STAPLE'];
  const actions = (response: OcspResponse | undefined, mustStaple = false, asked = true) =>
    policies.map((policy) => ocspStapleAction({ policy, mustStaple, response, asked, nowMs: now }));

  it('decides what is done', () => {
    expect(actions(fresh)).toEqual(['staple', 'staple', 'staple']);
    expect(actions(stale)).toEqual(['omit', 'fail', 'fail']);
    expect(actions(undefined)).toEqual(['omit', 'omit', 'fail']);
    expect(actions(fresh, true)).toEqual(['staple', 'staple', 'staple']);
    expect(actions(stale, true)).toEqual(['fail', 'fail', 'fail']);
    expect(actions(undefined, true)).toEqual(['fail', 'fail', 'fail']);
    expect(actions(stale, true, false)).toEqual(['not_asked', 'not_asked', 'not_asked']);
  });

  it('refuses configs that could never staple', () => {
    const plain = certificate(leaf.der);
    const must = certificate(stapled.der);
    expect(ocspConfigProblem(plain, undefined, 'LENIENT_STAPLING')).toBeUndefined();
    expect(ocspConfigProblem(plain, fresh, 'MUST_STAPLE')).toBeUndefined();
    expect(ocspConfigProblem(plain, undefined, 'MUST_STAPLE')).toBe(
      'Required OCSP response is missing from TLS context',
    );
    expect(ocspConfigProblem(must, undefined, 'LENIENT_STAPLING')).toBe(
      'OCSP response is required for must-staple certificate',
    );
    expect(ocspConfigProblem(must, fresh, 'LENIENT_STAPLING')).toBe(
      'OCSP response does not match its TLS certificate',
    );
  });
});
