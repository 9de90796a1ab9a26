import { fileURLToPath } from 'node:url';
import { CAPTURE_PORT, missingNamespacePrograms, runInNamespace, whyNoNamespace } from '@dragoman/testing';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Redirected } from './redirected.ts';

const missing = missingNamespacePrograms();
const mustRun = process.env.CI === 'true' && missing.length > 0;
const reason =
  missing.length > 0 ? `no ${missing.join(', ')}; see test-e2e/install-peers.sh` : whyNoNamespace();
const why = reason === undefined || mustRun ? '' : ` (skipped: ${reason})`;

/** Where clients connect, and what answers. The local address is the one they asked for. */
const CASES: readonly (readonly [target: string, answer: string])[] = [
  ['192.0.2.7:8080', 'exact'],
  ['[2001:db8::7]:8080', 'exact6'],
  ['192.0.2.8:8081', 'any'],
  ['[2001:db8::8]:8081', 'any'],
  ['203.0.113.9:8080', 'range'],
  ['[2001:db8:2::9]:8080', 'range6'],
  ['192.0.2.8:8089', 'port'],
  ['192.0.2.8:8080', 'capture: another'],
  [`127.0.0.1:${CAPTURE_PORT}`, 'capture'],
  [`[::1]:${CAPTURE_PORT}`, 'capture'],
];

describe.skipIf(why !== '')(`connections that netfilter redirects${why}`, () => {
  let results: readonly Redirected[] = [];

  beforeAll(async () => {
    expect(missing).toEqual([]);
    const module = fileURLToPath(new URL('./redirected.ts', import.meta.url));
    results = JSON.parse(await runInNamespace(module, ...CASES.map(([target]) => target)));
  });

  it.each(CASES.map(([target, answer], i) => [target, answer, i] as const))('%s: %s', (target, answer, i) => {
    expect(results[i]).toEqual({ answer, local: target });
  });

  it('nothing else was answered', () => {
    expect(results).toHaveLength(CASES.length);
  });
});
