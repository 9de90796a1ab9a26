import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FakeClock } from '@dragoman/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FolderWatch } from '../src/folder-watch.ts';
import { currentContent } from '../src/source-reader.ts';

const watches: FolderWatch[] = [];
let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'dragoman-secrets-'));
});
afterEach(() => {
  for (const watch of watches.splice(0)) watch.close();
  rmSync(folder, { recursive: true, force: true });
});

const at = (name: string): string => join(folder, name);

describe('FolderWatch', () => {
  it('looks every few seconds while there is no folder to watch', () => {
    const clock = new FakeClock();
    let changes = 0;
    const watch = new FolderWatch(clock, () => changes++);
    watches.push(watch);
    const path = at('later/tls.crt');
    watch.follow({ files: new Map([[path, currentContent(path)]]), directories: new Set() });
    clock.advance(6000);
    expect(changes).toBe(0);
    mkdirSync(at('later'));
    writeFileSync(path, 'x');
    clock.advance(6000);
    expect(changes).toBe(1);
    clock.advance(60_000);
    expect(changes).toBe(1);
  });

  it('sees what has changed between reading and watching', () => {
    const clock = new FakeClock();
    let changes = 0;
    const watch = new FolderWatch(clock, () => changes++);
    watches.push(watch);
    writeFileSync(at('a'), 'new');
    watch.follow({ files: new Map([[at('a'), 'the content of something else']]), directories: new Set() });
    clock.advance(200);
    expect(changes).toBe(1);
  });

  it('keeps no process alive', () => {
    writeFileSync(at('tls.crt'), 'x');
    const script = `
      import { systemClock } from '@dragoman/core';
      import { FolderWatch } from ${JSON.stringify(join(import.meta.dirname, '../src/folder-watch.ts'))};
      new FolderWatch(systemClock, () => {}).follow({
        files: new Map([[${JSON.stringify(at('tls.crt'))}, ''], ['/no/such/file', '']]),
        directories: new Set(),
      });
      console.log('watching');`;
    const { stdout, status } = spawnSync(
      process.execPath,
      ['--conditions=dragoman-source', '--input-type=module', '-e', script],
      { cwd: import.meta.dirname, timeout: 10_000, encoding: 'utf8' },
    );
    expect([stdout, status]).toEqual(['watching\n', 0]);
  });
});
