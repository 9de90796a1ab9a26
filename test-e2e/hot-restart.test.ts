import { readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { bootstrap } from './support/config.ts';
import { restartUnderLoad } from './support/restarts-under-load.ts';
import { Sidecar, skipUnbuilt, UNBUILT } from './support/sidecar.ts';
import { Supervised } from './support/supervised.ts';

describe.skipIf(skipUnbuilt)(`dragoman supervise${UNBUILT}`, { timeout: 180_000 }, () => {
  it('ten restarts under load: no request fails, and each is counted once', async () => {
    const plan = { restarts: 10, pauseMs: 50, clients: 3, rate: 100, drainTimeS: 1 };
    const { requests } = await restartUnderLoad(plan);
    expect(requests).toBeGreaterThan(300);
  });

  it('loads little', () => {
    const bundle = dirname(fileURLToPath(new URL('../apps/sidecar/dist/bundle/main.js', import.meta.url)));
    const imports = (file: string, pattern: RegExp): string[] =>
      [...readFileSync(join(bundle, file), 'utf8').matchAll(pattern)].map((match) => match[1] as string);
    const entry = imports('main.js', /import\("\.\/(supervise[^"]*)"\)/g);
    expect(entry).toHaveLength(1);
    const loaded = new Set(['main.js', ...entry]);
    for (const file of loaded) {
      for (const other of imports(file, /\b(?:from|import)\s*"\.\/([^"]*)"/g)) loaded.add(other);
    }
    expect(loaded.size).toBeGreaterThan(2);
    const bytes = [...loaded].reduce((sum, file) => sum + statSync(join(bundle, file)).size, 0);
    // The proxy is above a million.
    expect(bytes).toBeLessThan(100_000);
  });

  it('says which version can take over', async () => {
    const { stderr: told } = await Sidecar.run(['--hot-restart-version']);
    await using proxy = await Supervised.serve(bootstrap([], []));
    const { body } = await proxy.admin('/hot_restart_version');
    expect(body.toString()).toBe(told);
    expect((await proxy.serverInfo()).hot_restart_version).toBe(told);
    expect(told).toMatch(/^\d+\.\d+$/);
    await using alone = await Sidecar.serve(bootstrap([], []));
    expect((await alone.admin('/hot_restart_version')).body.toString()).toBe('disabled');
    const info = JSON.parse((await alone.admin('/server_info')).body.toString());
    expect(info.hot_restart_version).toBe('disabled');
  });
});
