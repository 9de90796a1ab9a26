import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@dragoman/core';
import { eventually, FakeClock } from '@dragoman/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { digestOf, digestOfContent, FileWatch, FolderWatch, stampOf } from '../src/index.ts';

let root: string;
const open: { close(): void }[] = [];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'dragoman-watch-'));
});

afterEach(() => {
  for (const watch of open.splice(0)) watch.close();
  rmSync(root, { recursive: true, force: true });
});

/** Watches a file and counts what it is told; the first look, which finds nothing, is over. */
function watchFile(path: string, fingerprint = stampOf, directories: string[] = []) {
  const seen = { changes: 0 };
  const watch = new FileWatch({
    clock: systemClock,
    fingerprint,
    settleMs: 5,
    onChange: () => {
      seen.changes++;
    },
  });
  open.push(watch);
  watch.follow({ files: new Map([[path, fingerprint(path)]]), directories });
  return seen;
}

describe('FileWatch tells of a file that', () => {
  it('is written in place', async () => {
    const path = join(root, 'a');
    writeFileSync(path, 'one');
    const seen = watchFile(path);
    appendFileSync(path, ' two');
    await eventually(() => seen.changes === 1);
  });

  it('is replaced by a rename, again and again', async () => {
    const path = join(root, 'a');
    writeFileSync(path, 'one');
    const seen = watchFile(path);
    for (const round of [1, 2, 3]) {
      writeFileSync(join(root, 'new'), 'same');
      renameSync(join(root, 'new'), path);
      await eventually(() => seen.changes === round);
    }
  });

  it('goes and comes back', async () => {
    const path = join(root, 'a');
    writeFileSync(path, 'one');
    const seen = watchFile(path);
    unlinkSync(path);
    await eventually(() => seen.changes === 1);
    writeFileSync(path, 'one');
    await eventually(() => seen.changes === 2);
  });

  it('lies in a Kubernetes volume whose ..data is turned', async () => {
    const volume = (version: string) => {
      mkdirSync(join(root, version));
      writeFileSync(join(root, version, 'a.yaml'), version);
    };
    volume('..one');
    symlinkSync('..one', join(root, '..data'));
    symlinkSync('..data/a.yaml', join(root, 'a.yaml'));
    const seen = watchFile(join(root, 'a.yaml'));
    for (const [round, version] of ['..two', '..three'].entries()) {
      volume(version);
      symlinkSync(version, join(root, '..data_tmp'));
      renameSync(join(root, '..data_tmp'), join(root, '..data'));
      await eventually(() => seen.changes === round + 1);
    }
  });

  it('is written at the other end of links', async () => {
    for (const folder of ['links', 'more', 'files']) mkdirSync(join(root, folder));
    const target = join(root, 'files', 'a');
    writeFileSync(target, 'one');
    symlinkSync(target, join(root, 'more', 'a'));
    symlinkSync('../more/a', join(root, 'links', 'a'));
    const seen = watchFile(join(root, 'links', 'a'));
    appendFileSync(target, '!');
    await eventually(() => seen.changes === 1);
    // The link in the middle.
    writeFileSync(join(root, 'other'), 'two');
    symlinkSync(join(root, 'other'), join(root, 'new'));
    renameSync(join(root, 'new'), join(root, 'more', 'a'));
    await eventually(() => seen.changes === 2);
  });

  it('had changed before it was watched', async () => {
    const path = join(root, 'a');
    writeFileSync(path, 'one');
    const known = stampOf(path);
    appendFileSync(path, '!');
    let changes = 0;
    const watch = new FileWatch({ clock: systemClock, settleMs: 5, onChange: () => changes++ });
    open.push(watch);
    watch.follow({ files: new Map([[path, known]]) });
    await eventually(() => changes === 1);
  });
});

describe('FileWatch', () => {
  it('says nothing of neighbours, nor of the same content when it looks at that', async () => {
    const path = join(root, 'a');
    const sentinel = join(root, 'b');
    writeFileSync(path, 'one');
    writeFileSync(sentinel, 'one');
    const seen = watchFile(path, digestOf);
    const other = watchFile(sentinel, digestOf);
    writeFileSync(path, 'one');
    writeFileSync(sentinel, 'two');
    await eventually(() => other.changes === 1);
    writeFileSync(sentinel, 'three');
    await eventually(() => other.changes === 2);
    expect(seen.changes).toBe(0);
  });

  it('keeps what it followed when more is included, and lets go of all when it is closed', async () => {
    const [first, second] = [join(root, 'a'), join(root, 'b')];
    for (const path of [first, second]) writeFileSync(path, 'one');
    let changes = 0;
    const watch = new FileWatch({ clock: systemClock, settleMs: 5, onChange: () => changes++ });
    watch.follow({ files: new Map([[first, stampOf(first)]]) });
    watch.include({ files: new Map([[second, stampOf(second)]]), directories: [root] });
    appendFileSync(first, '!');
    await eventually(() => changes === 1);
    appendFileSync(second, '!');
    await eventually(() => changes === 2);
    watch.close();
    const witness = watchFile(first);
    appendFileSync(first, '!');
    await eventually(() => witness.changes === 1);
    expect(changes).toBe(2);
  });
});

describe('FileWatch by content', () => {
  const digests = (clock: FakeClock) => {
    const seen = { changes: 0 };
    const watch = new FileWatch({ clock, fingerprint: digestOf, onChange: () => void seen.changes++ });
    open.push(watch);
    return { watch, seen };
  };

  it('looks every few seconds while there is no folder to watch', () => {
    const clock = new FakeClock();
    const { watch, seen } = digests(clock);
    const path = join(root, 'later', 'tls.crt');
    watch.follow({ files: new Map([[path, digestOf(path)]]) });
    clock.advance(6000);
    expect(seen.changes).toBe(0);
    mkdirSync(join(root, 'later'));
    writeFileSync(path, 'x');
    clock.advance(6000);
    expect(seen.changes).toBe(1);
    clock.advance(60_000);
    expect(seen.changes).toBe(1);
  });

  it('sees what has changed between reading and watching', () => {
    const clock = new FakeClock();
    const { watch, seen } = digests(clock);
    const path = join(root, 'a');
    writeFileSync(path, 'new');
    watch.follow({ files: new Map([[path, digestOfContent(Buffer.from('something else'))]]) });
    clock.advance(200);
    expect(seen.changes).toBe(1);
  });

  it('says the same of a file and of its content', () => {
    const path = join(root, 'a');
    expect(digestOf(path)).toBe(digestOfContent(undefined));
    writeFileSync(path, 'x');
    expect(digestOf(path)).toBe(digestOfContent(Buffer.from('x')));
  });

  it('keeps no process alive', () => {
    const path = join(root, 'tls.crt');
    writeFileSync(path, 'x');
    const script = `
      import { systemClock } from '@dragoman/core';
      import { FileWatch } from ${JSON.stringify(join(import.meta.dirname, '../src/file-watch.ts'))};
      new FileWatch({ clock: systemClock, onChange: () => {} }).follow({
        files: new Map([[${JSON.stringify(path)}, ''], ['/no/such/file', '']]),
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

describe('FolderWatch', () => {
  it('tells in which folders', async () => {
    const folders = ['a', 'b', 'c'].map((name) => join(root, name));
    for (const folder of folders) mkdirSync(folder);
    const told: string[] = [];
    const watch = new FolderWatch({
      clock: systemClock,
      settleMs: 5,
      onChange: (changed) => told.push(...changed),
    });
    open.push(watch);
    watch.follow(folders.slice(0, 2));
    writeFileSync(join(folders[2] as string, 'x'), '');
    writeFileSync(join(folders[1] as string, 'x'), '');
    await eventually(() => told.length > 0);
    expect(new Set(told)).toEqual(new Set([folders[1]]));
  });

  it('waits until the folder is quiet, but not for ever', () => {
    const clock = new FakeClock();
    const times: number[] = [];
    const watch = new FolderWatch({ clock, onChange: () => times.push(clock.now() - 1000) });
    open.push(watch);
    watch.touch();
    clock.advance(60);
    watch.touch();
    clock.advance(99);
    expect(times).toEqual([]);
    clock.advance(1);
    expect(times).toEqual([160]);
    for (let i = 0; i < 40; i++) {
      watch.touch();
      clock.advance(50);
    }
    expect(times[1]).toBe(1160);
  });

  it('looks for a folder that is not there', async () => {
    const clock = new FakeClock();
    const folder = join(root, 'later');
    const told: number[] = [];
    const watch = new FolderWatch({ clock, onChange: (changed) => told.push(changed.size) });
    open.push(watch);
    watch.follow([folder]);
    clock.advance(5000);
    expect(told).toEqual([0]);
    mkdirSync(folder);
    clock.advance(5000);
    expect(told).toEqual([0, 0]);
    expect(clock.pendingTimers).toBe(0);
    writeFileSync(join(folder, 'x'), '');
    await eventually(() => clock.pendingTimers === 1);
    clock.advance(100);
    expect(told).toEqual([0, 0, 1]);
  });

  it('watches the folder that has taken the place of another', async () => {
    const folder = join(root, 'a');
    mkdirSync(folder);
    let changes = 0;
    const watch = new FolderWatch({ clock: systemClock, settleMs: 5, onChange: () => changes++ });
    open.push(watch);
    watch.follow([root, folder]);
    renameSync(folder, join(root, 'old'));
    mkdirSync(folder);
    await eventually(() => changes > 0);
    const before = changes;
    writeFileSync(join(folder, 'x'), '');
    await eventually(() => changes > before);
  });
});
