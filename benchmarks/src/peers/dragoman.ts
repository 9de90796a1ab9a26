import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort, type Workbench } from '../workbench.ts';
import { bootstrap } from './dragoman-bootstrap.ts';
import type { Peer, Target } from './peer.ts';

const REPOSITORY = join(import.meta.dirname, '..', '..', '..');
const BUNDLE = join(REPOSITORY, 'apps/sidecar/dist/bundle/main.js');
/** The `dragoman` command. */
export const COMMAND = join(REPOSITORY, 'apps/sidecar/bin/dragoman.js');

export const missingBundle = (): string | undefined =>
  existsSync(BUNDLE) ? undefined : 'the sidecar is not built: npm run build';

/** Writes a config for the command. @returns its path */
export function writeBootstrap(bench: Workbench, target: Target, adminPort: number): string {
  const file = bench.path('bootstrap.json');
  writeFileSync(file, JSON.stringify(bootstrap(bench, target, adminPort)));
  return file;
}

/** As users run it: on worker threads. */
export const dragoman: Peer = {
  name: 'dragoman',
  about: 'the bundled sidecar, worker threads; router, stats and a file access log on',
  onlyWhenNamed: false,
  scales: true,
  missing: missingBundle,
  start: (bench, target) => startSidecar(bench, target, ['--concurrency', String(target.workers)]),
};

export const dragomanInThread: Peer = {
  name: 'dragoman-in-thread',
  about: 'the same with --in-thread: no worker thread, all on the main one',
  onlyWhenNamed: true,
  scales: false,
  missing: missingBundle,
  start: (bench, target) => startSidecar(bench, target, ['--in-thread']),
};

async function startSidecar(bench: Workbench, target: Target, flags: readonly string[]) {
  const file = writeBootstrap(bench, target, await freePort());
  const args = ['--disable-sigusr1', COMMAND, '-c', file, '-l', 'error', ...flags];
  return bench.start('dragoman', target.cores, process.execPath, args);
}
