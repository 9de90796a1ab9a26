import { fileURLToPath } from 'node:url';
import { missingNamespacePrograms, PROXY_SOURCE, runInNamespace, whyNoNamespace } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';

const missing = missingNamespacePrograms();
const mustRun = process.env.CI === 'true' && missing.length > 0;
const reason = missing.length > 0 ? `no ${missing.join(', ')}; see install-peers.sh` : whyNoNamespace();
const why = reason === undefined || mustRun ? '' : ` (skipped: ${reason})`;

describe.skipIf(why !== '')(`a transparent proxy${why}`, () => {
  it('sends redirected connections on to where they were meant to go, over HTTP and TCP', async () => {
    expect(missing).toEqual([]);
    const module = fileURLToPath(new URL('./support/transparent.ts', import.meta.url));
    const targets = ['192.0.2.7:8080', '203.0.113.9:8080', '192.0.2.7:8081'];
    expect(JSON.parse(await runInNamespace(module, ...targets))).toEqual(
      targets.map((target) => `${target} from ${PROXY_SOURCE}`),
    );
  });
});
