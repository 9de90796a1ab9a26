import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { run } from './run.ts';

/** Envoy's route check cases; see the README there for what each field means. */
const FOLDER = fileURLToPath(new URL('../../../../../shared/conformance/router-check/', import.meta.url));

/** Cases that must fail: the tool's own example of a failing one. */
const FAILS_ON_PURPOSE = new Set(['TimeoutFailures']);

const present = existsSync(FOLDER);
const goldens = present ? readdirSync(FOLDER).filter((file) => file.includes('.golden.')) : [];
const scratch = mkdtempSync(join(tmpdir(), 'dragoman-'));
afterAll(() => rmSync(scratch, { recursive: true }));

describe('route check cases', () => {
  it('are there', ({ skip }) => {
    if (!present && process.env['CI'] !== 'true') skip('../shared/conformance/router-check is not here');
    expect(goldens.length).toBeGreaterThan(0);
  });

  for (const golden of goldens) {
    const name = golden.slice(0, golden.indexOf('.'));
    const config = name === 'TimeoutFailures' ? 'Timeout.yaml' : `${name}.yaml`;
    it(golden, () => {
      const files = ['-c', join(FOLDER, config), '-t', join(FOLDER, golden)];
      const { code, out, err } = run(...files, '--details', '--disable-deprecation-check');
      if (FAILS_ON_PURPOSE.has(name)) {
        expect(code).toBe(1);
        expect(err).toMatch(/^expected: \[\d+s\], actual: \[\d+s\], test type: timeout$/m);
        expect(out).not.toContain('coverage');
        return;
      }
      expect(err).toBe('');
      expect(out).toMatch(/^Current route coverage: [\d.]+%$/m);
      expect(code).toBe(0);
    });
  }

  it('fail when what they expect is not so', ({ skip }) => {
    if (!present) skip('../shared/conformance/router-check is not here');
    const wrong = join(scratch, 'wrong.yaml');
    writeFileSync(
      wrong,
      `tests:
- test_name: nowhere
  input: { authority: nowhere.example, path: /, method: GET }
  validate: { cluster_name: somewhere, virtual_host_name: "", code_redirect: 0 }
`,
    );
    expect(run('-c', join(FOLDER, 'Weighted.yaml'), '-t', wrong, '--only-show-failures')).toEqual({
      code: 1,
      out: '',
      err: 'nowhere\nexpected: [somewhere], actual: [], test type: cluster_name\n',
    });
  });
});
