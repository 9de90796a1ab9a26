import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError, systemClock } from '@dragoman/core';
import { FakeClock, MemoryStats, RecordingLoggers } from '@dragoman/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLogFiles, type LogFilesOptions } from '../src/index.ts';
import { FakeFileSystem, systemError } from './fake-file-system.ts';

function setUp(over: Partial<LogFilesOptions> = {}) {
  const clock = new FakeClock();
  const stats = new MemoryStats();
  const loggers = new RecordingLoggers();
  const fileSystem = new FakeFileSystem();
  const files = createLogFiles({ clock, stats, loggers, fileSystem, ...over });
  return { clock, stats, loggers, fileSystem, files };
}

describe('log files', () => {
  it('writes when 64 KiB are there, without waiting', () => {
    const { fileSystem, files, stats, clock } = setUp();
    const file = files.open('/a');
    const entry = `${'x'.repeat(1023)}\n`;
    for (let i = 0; i < 63; i++) file.write(entry);
    expect(fileSystem.pending).toHaveLength(0);
    file.write(entry);
    expect(fileSystem.pending).toHaveLength(1);
    expect(stats.value('filesystem.write_total_buffered')).toBe(65_536);
    fileSystem.complete();
    expect(fileSystem.text(10)).toBe(entry.repeat(64));
    expect(stats.used()).toEqual({ 'filesystem.write_buffered': 64, 'filesystem.write_completed': 1 });
    // The timer that the first entry armed finds nothing to do.
    clock.advance(10_000);
    expect(stats.value('filesystem.flushed_by_timer')).toBe(0);
    expect(clock.pendingTimers).toBe(0);
  });

  it('writes on its interval, 10 s unless told otherwise', () => {
    for (const [flushIntervalMs, ms] of [
      [undefined, 10_000],
      [250, 250],
    ] as const) {
      const { clock, fileSystem, files, stats } = setUp(
        flushIntervalMs === undefined ? {} : { flushIntervalMs },
      );
      const file = files.open('/a');
      expect(clock.pendingTimers).toBe(0);
      file.write('one\n');
      clock.advance(ms - 1);
      file.write('two\n');
      expect(fileSystem.pending).toHaveLength(0);
      clock.advance(1);
      // Entries that come while a batch is on its way wait for the next tick.
      file.write('three\n');
      fileSystem.completeAll();
      expect(fileSystem.text(10)).toBe('one\ntwo\n');
      clock.advance(ms);
      fileSystem.completeAll();
      expect(fileSystem.text(10)).toBe('one\ntwo\nthree\n');
      expect(stats.value('filesystem.flushed_by_timer')).toBe(2);
      expect(stats.value('filesystem.write_completed')).toBe(2);
      expect(clock.pendingTimers).toBe(0);
    }
  });

  it('keeps the order under back-pressure, partial writes and full pipes included', async () => {
    const { clock, fileSystem, files, stats } = setUp({ batchBytes: 10 });
    const file = files.open('/a');
    let expected = '';
    for (let i = 0; i < 50; i++) {
      const entry = `entry ${i}\n`;
      expected += entry;
      file.write(entry);
    }
    const flushed = files.flush();
    let step = 0;
    while (fileSystem.pending.length > 0) {
      expect(fileSystem.pending).toHaveLength(1); // one at a time
      step++;
      if (step % 7 === 0) {
        fileSystem.complete({ error: systemError('EAGAIN') });
        expect(fileSystem.pending).toHaveLength(0);
        clock.advance(10);
      } else fileSystem.complete({ limit: 1 + (step % 9) });
    }
    await flushed;
    expect(fileSystem.text(10)).toBe(expected);
    expect(stats.value('filesystem.write_total_buffered')).toBe(0);
    expect(stats.value('filesystem.write_failed')).toBe(0);
  });

  it('tells when what was there is through, not what came later', async () => {
    const { fileSystem, files } = setUp({ batchBytes: 4 });
    const file = files.open('/a');
    await files.flush();
    file.write('one\n');
    const first = files.flush();
    file.write('two\n');
    let done = false;
    const second = files.flush().then(() => {
      done = true;
    });
    fileSystem.complete();
    await first;
    expect(done).toBe(false);
    fileSystem.complete();
    await second;
    expect(fileSystem.text(10)).toBe('one\ntwo\n');
  });

  it('counts what fails, says so once, and goes on', async () => {
    const { fileSystem, files, loggers, stats } = setUp({ batchBytes: 1 });
    const file = files.open('/a');
    for (const entry of ['a\n', 'b\n', 'c\n', 'd\n']) file.write(entry);
    const flushed = files.flush();
    fileSystem.complete({ error: systemError('ENOSPC') });
    fileSystem.complete({ error: systemError('EIO') });
    fileSystem.complete();
    fileSystem.complete({ error: systemError('EPIPE') });
    await flushed;
    expect(fileSystem.text(10)).toBe('c\n');
    expect(stats.value('filesystem.write_failed')).toBe(3);
    expect(stats.value('filesystem.write_completed')).toBe(1);
    expect(stats.value('filesystem.write_total_buffered')).toBe(0);
    expect(loggers.lines).toEqual([
      'file error: cannot write to log file /a: ENOSPC: from the test',
      'file error: cannot write to log file /a: EPIPE: from the test',
    ]);
  });

  it('drops and counts entries when the disk stalls, and takes them again later', () => {
    const { fileSystem, files, loggers, stats } = setUp({ batchBytes: 4, maxBufferedBytes: 10 });
    const file = files.open('/a');
    for (const entry of ['aaaa', 'bbbb', 'cccc', 'dd', 'e']) file.write(entry);
    expect(stats.value('filesystem.write_dropped')).toBe(2);
    expect(stats.value('filesystem.write_total_buffered')).toBe(10);
    expect(loggers.lines).toEqual([
      'file error: log file /a does not keep up: 8 bytes wait, entries are dropped',
    ]);
    fileSystem.completeAll();
    file.write('ffff');
    fileSystem.completeAll();
    void files.flush();
    fileSystem.completeAll();
    expect(fileSystem.text(10)).toBe('aaaabbbbddffff');
  });

  it('goes on in a new file after it was moved away', () => {
    const { fileSystem, files, loggers, stats } = setUp({ batchBytes: 1 });
    const file = files.open('/a');
    file.write('one\n');
    files.reopen(); // while a write is on its way: it ends in the old file
    expect(fileSystem.closed).toEqual([]);
    fileSystem.complete();
    expect(fileSystem.closed).toEqual([10]);
    file.write('two\n');
    fileSystem.complete();
    expect([fileSystem.text(10), fileSystem.text(11)]).toEqual(['one\n', 'two\n']);

    fileSystem.openErrors = [systemError('EMFILE'), systemError('EMFILE')];
    files.reopen();
    file.write('three\n');
    fileSystem.complete();
    expect(fileSystem.text(11)).toBe('two\nthree\n');
    expect(stats.value('filesystem.reopen_failed')).toBe(2);
    expect(loggers.lines).toHaveLength(2);
    file.write('four\n');
    fileSystem.completeAll();
    expect(fileSystem.text(12)).toBe('four\n');
    expect(fileSystem.closed).toEqual([10, 11]);
  });

  it('gives the same file for the same path and refuses what cannot be opened', () => {
    const { fileSystem, files } = setUp();
    expect(files.open('/a')).toBe(files.open('/a'));
    expect(files.open('/b')).not.toBe(files.open('/a'));
    fileSystem.openErrors = [systemError('ENOENT')];
    expect(() => files.open('/c')).toThrow(ConfigError);
    expect(() => files.open('')).toThrow('path: must not be empty');
    fileSystem.openErrors = [systemError('ENOENT')];
    expect(() => files.open('/c')).toThrow('path: cannot open log file "/c": ENOENT');
  });

  it('writes to standard output and error by their descriptors, never closed or opened again', () => {
    const { fileSystem, files } = setUp({ batchBytes: 1 });
    files.open('/dev/stdout').write('out\n');
    files.open('/dev/stderr').write('err\n');
    fileSystem.completeAll();
    files.reopen();
    files.close();
    expect([fileSystem.text(1), fileSystem.text(2)]).toEqual(['out\n', 'err\n']);
    expect(fileSystem.closed).toEqual([]);
    expect(fileSystem.paths.size).toBe(0);
  });

  it('writes what waits when it closes, through partial writes and a full pipe', () => {
    const { fileSystem, files, stats, clock } = setUp({ batchBytes: 8 });
    const file = files.open('/a');
    fileSystem.syncLimit = 3;
    fileSystem.syncErrors = [systemError('EAGAIN'), systemError('EINTR')];
    file.write('wait\n');
    files.close();
    expect(fileSystem.text(10)).toBe('wait\n');
    expect(fileSystem.slept).toBe(20);
    expect(fileSystem.closed).toEqual([10]);
    expect(stats.value('filesystem.write_total_buffered')).toBe(0);
    file.write('late\n');
    expect(stats.value('filesystem.write_dropped')).toBe(1);
    files.close();
    clock.advance(60_000);
    expect(fileSystem.text(10)).toBe('wait\n');
    expect(() => files.open('/b')).toThrow('log files are closed');
  });

  it('writes text as UTF-8: no character becomes a newline', () => {
    const { fileSystem, files } = setUp({ batchBytes: 1 });
    const file = files.open('/a');
    file.write('a\u010ab\n');
    file.write('\xc3\xa9\n');
    fileSystem.completeAll();
    expect(fileSystem.text(10)).toBe('a\xc4\x8ab\n\xc3\xa9\n');
  });

  it('gives up a pipe that stays full when it closes', () => {
    const { fileSystem, files, stats } = setUp();
    files.open('/a').write('x\n');
    fileSystem.syncErrors = Array.from({ length: 1000 }, () => systemError('EAGAIN'));
    files.close();
    expect(fileSystem.slept).toBe(1000);
    expect(stats.value('filesystem.write_failed')).toBe(1);
  });

  it('leaves a begun write to the system when it closes, and takes up one that waits for its retry', async () => {
    const { fileSystem, files } = setUp({ batchBytes: 4 });
    const file = files.open('/a');
    file.write('one\n');
    file.write('two\n');
    file.write('3\n');
    const flushed = files.flush();
    files.close();
    await flushed;
    // The fake system takes up the begun write late; a real one has it already.
    expect(fileSystem.text(10)).toBe('two\n3\n');
    fileSystem.complete();
    expect(fileSystem.text(10)).toBe('two\n3\none\n');

    const again = setUp({ batchBytes: 4 });
    again.files.open('/a').write('full\n');
    again.fileSystem.complete({ limit: 2 });
    again.fileSystem.complete({ error: systemError('EAGAIN') });
    again.files.close();
    expect(again.fileSystem.text(10)).toBe('full\n');
    expect(again.clock.pendingTimers).toBe(1); // the flush interval's, with nothing left to do
  });
});

describe('log files on disk', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'log-files-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const onDisk = () =>
    createLogFiles({ clock: systemClock, stats: new MemoryStats(), loggers: new RecordingLoggers() });

  it('appends, byte for byte, and reopens after a rename', async () => {
    const path = join(folder, 'a.log');
    const files = onDisk();
    const file = files.open(path);
    file.write('caf\xc3\xa9 \xff\n');
    await files.flush();
    renameSync(path, `${path}.1`);
    file.write('still the old one\n');
    await files.flush();
    files.reopen();
    file.write('new\n');
    await files.flush();
    files.close();
    expect(readFileSync(`${path}.1`)).toEqual(Buffer.from('caf\xc3\xa9 \xff\nstill the old one\n', 'latin1'));
    expect(readFileSync(path, 'utf8')).toBe('new\n');
    const again = onDisk();
    again.open(path).write('appended\n');
    again.close();
    expect(readFileSync(path, 'utf8')).toBe('new\nappended\n');
  });

  it('refuses a folder that is not there', () => {
    expect(() => onDisk().open(join(folder, 'no', 'such.log'))).toThrow('cannot open log file');
  });

  it('does not hang on a named pipe that nobody reads', () => {
    const path = join(folder, 'pipe');
    expect(spawnSync('mkfifo', [path]).status).toBe(0);
    expect(() => onDisk().open(path)).toThrow(/cannot open log file .*ENXIO/);
  });

  it('loses nothing when the process exits with writes under way', () => {
    const path = join(folder, 'exit.log');
    const source = join(import.meta.dirname, 'exit-script.ts');
    const run = spawnSync(process.execPath, ['--conditions', 'dragoman-source', source, path], {
      encoding: 'utf8',
    });
    expect(run.stderr).toBe('');
    const lines = readFileSync(path, 'utf8').split('\n');
    expect(lines.pop()).toBe('');
    expect(lines).toHaveLength(20_000);
    expect(new Set(lines).size).toBe(20_000);
    expect(run.stdout).toBe('to stdout\n'.repeat(100));
  });
});
