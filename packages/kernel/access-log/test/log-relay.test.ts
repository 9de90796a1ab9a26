import { ConfigError } from '@dragoman/core';
import { FakeClock, MemoryStats, RecordingLoggers } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import {
  createLogFiles,
  type LogFilesOptions,
  type LogRelayAnswer,
  LogRelayClient,
  type LogRelayMessage,
  LogRelayServer,
} from '../src/index.ts';
import { FakeFileSystem, systemError } from './fake-file-system.ts';

const FIFO = '/run/fifo';

/** The log files of one thread, on a file system of its own in which FIFO and standard output are pipes. */
function setUpThread(over: Partial<LogFilesOptions> = {}) {
  const clock = new FakeClock();
  const stats = new MemoryStats();
  const loggers = new RecordingLoggers();
  const fileSystem = new FakeFileSystem();
  fileSystem.pipes.add(FIFO).add(1);
  const files = createLogFiles({ clock, stats, loggers, fileSystem, batchBytes: 1, ...over });
  return { clock, stats, loggers, fileSystem, files };
}

/** A worker whose messages the test passes on, or answers itself. */
function setUpWorker(over: Partial<LogFilesOptions> = {}) {
  const sent: LogRelayMessage[] = [];
  const relay = new LogRelayClient({ post: (message) => sent.push(message) });
  const answer = (error: string | null = null) => {
    const message = sent.shift();
    if (message === undefined) throw new Error('nothing was sent');
    relay.receive({ id: message.id, error });
    return message;
  };
  return { ...setUpThread({ relay, ...over }), sent, relay, answer };
}

/** A main thread, and workers whose messages reach it at once. */
function setUpThreads(workers: number, over: Partial<LogFilesOptions> = {}) {
  const main = setUpThread(over);
  const server = new LogRelayServer({ files: main.files });
  const answers: LogRelayAnswer[] = [];
  const others = Array.from({ length: workers }, (_, index) => {
    const relay: LogRelayClient = new LogRelayClient({
      post: (message) =>
        server.receive(index, structuredClone(message), (answer) => {
          answers.push(answer);
          relay.receive(structuredClone(answer));
        }),
    });
    return setUpThread({ relay, ...over });
  });
  return { main, server, others, answers };
}

function textOf(message: LogRelayMessage | undefined): string | undefined {
  return message?.kind === 'write' ? Buffer.from(message.data).toString('latin1') : undefined;
}

describe('a worker', () => {
  it('writes to a regular file itself', () => {
    const { fileSystem, files, sent } = setUpWorker();
    files.open('/a').write('one\n');
    files.open('/dev/stderr').write('two\n');
    fileSystem.completeAll();
    expect([fileSystem.text(10), fileSystem.text(2)]).toEqual(['one\n', 'two\n']);
    expect(sent).toEqual([]);
  });

  it('sends a batch for a pipe, and the next when it is answered', async () => {
    const { answer, fileSystem, files, sent, stats } = setUpWorker({ batchBytes: 8 });
    const file = files.open('/dev/stdout');
    for (const entry of ['a1\n', 'b2\n', 'c3\n', 'd4\xff\n', 'e5\n', 'f6\n']) file.write(entry);
    expect(sent.map(textOf)).toEqual(['a1\nb2\nc3\n']);
    const [message] = sent;
    // Its own buffer to the last byte, so that it can be transferred.
    expect(message?.kind === 'write' && message.data.buffer.byteLength).toBe(9);
    let flushed = false;
    const flush = files.flush().then(() => {
      flushed = true;
    });
    answer();
    await Promise.resolve();
    expect([flushed, ...sent.map(textOf)]).toEqual([false, 'd4\xff\ne5\nf6\n']);
    answer();
    await flush;
    expect(sent).toEqual([]);
    expect(fileSystem.pending).toEqual([]);
    expect(stats.used()).toEqual({ 'filesystem.write_buffered': 6, 'filesystem.write_completed': 2 });
  });

  it('counts batches that the main thread could not write', async () => {
    const { answer, files, loggers, sent, stats } = setUpWorker();
    const file = files.open('/dev/stdout');
    for (const entry of ['a\n', 'b\n', 'c\n']) file.write(entry);
    answer('EPIPE: broken pipe, write');
    answer('EPIPE: broken pipe, write');
    answer();
    await files.flush();
    expect(sent).toEqual([]);
    expect(stats.used()).toEqual({
      'filesystem.write_buffered': 3,
      'filesystem.write_completed': 1,
      'filesystem.write_failed': 2,
    });
    expect(loggers.lines).toEqual([
      'file error: cannot write to log file /dev/stdout: EPIPE: broken pipe, write',
    ]);
  });

  it('drops entries while the main thread does not answer', () => {
    const { answer, files, sent, stats } = setUpWorker({ batchBytes: 4, maxBufferedBytes: 10 });
    const file = files.open('/dev/stdout');
    for (const entry of ['aaaa', 'bbbb', 'cccc', 'dd']) file.write(entry);
    expect(sent.map(textOf)).toEqual(['aaaa']);
    expect(stats.value('filesystem.write_dropped')).toBe(1);
    expect(stats.value('filesystem.write_total_buffered')).toBe(10);
    answer();
    answer();
    file.write('eeee');
    expect(sent.map(textOf)).toEqual(['ddeeee']);
  });

  it('holds a named pipe open until the main thread has it', () => {
    const { answer, fileSystem, files, sent } = setUpWorker();
    files.open(FIFO).write('one\n');
    expect(sent.map((message) => message.kind)).toEqual(['open', 'write']);
    expect(fileSystem.closed).toEqual([]);
    answer();
    expect(fileSystem.closed).toEqual([10]);
    expect(textOf(answer())).toBe('one\n');
    files.close();
    expect(fileSystem.closed).toEqual([10]);
    expect(fileSystem.text(10)).toBe('');
  });

  it('refuses what it cannot open', () => {
    const { fileSystem, files, sent } = setUpWorker();
    fileSystem.openErrors = [systemError('ENXIO')];
    expect(() => files.open(FIFO)).toThrow(ConfigError);
    expect(sent).toEqual([]);
  });

  it('leaves the reopening of a pipe to the main thread', () => {
    const { answer, fileSystem, files, sent, stats } = setUpWorker();
    const file = files.open(FIFO);
    answer();
    fileSystem.openErrors = [systemError('ENXIO')];
    files.reopen();
    file.write('one\n');
    expect(textOf(answer())).toBe('one\n');
    expect(sent).toEqual([]);
    expect(fileSystem.openErrors).toHaveLength(1);
    expect(stats.value('filesystem.reopen_failed')).toBe(0);
  });

  it('looks again at what a path is when it reopens', () => {
    const { answer, fileSystem, files, sent } = setUpWorker();
    const file = files.open(FIFO);
    answer();
    fileSystem.pipes.delete(FIFO);
    files.reopen();
    file.write('to a file\n');
    fileSystem.complete();
    expect(fileSystem.text(11)).toBe('to a file\n');

    fileSystem.pipes.add(FIFO);
    files.reopen();
    expect(fileSystem.closed).toEqual([10, 11]);
    file.write('to a pipe\n');
    expect(textOf(answer())).toBe('to a pipe\n');

    const other = files.open('/a');
    fileSystem.pipes.add('/a');
    files.reopen();
    other.write('to another\n');
    expect(sent.map(({ kind, path }) => `${kind} ${path}`)).toEqual(['open /a', 'write /a']);
  });

  it('sends what waits when it closes, without waiting', async () => {
    const { fileSystem, files, relay, sent, stats } = setUpWorker({ batchBytes: 4 });
    const file = files.open('/dev/stdout');
    for (const entry of ['one\n', 'two\n', 'three\n', '4\n']) file.write(entry);
    const flushed = files.flush();
    files.close();
    await flushed;
    expect(sent.map(textOf)).toEqual(['one\n', 'two\nthree\n4\n']);
    expect(stats.used()).toEqual({ 'filesystem.write_buffered': 4, 'filesystem.write_completed': 4 });
    expect(fileSystem.closed).toEqual([]);
    // Late answers find nobody.
    for (const { id } of sent) relay.receive({ id, error: 'EPIPE' });
    expect(stats.value('filesystem.write_failed')).toBe(0);
  });
});

describe('the main thread', () => {
  it('writes batches of all threads one after another, each in one piece', async () => {
    const { main, others } = setUpThreads(3, { batchBytes: 20 });
    const everybody = [main, ...others];
    const expected: string[] = [];
    for (let i = 0; i < 40; i++) {
      for (const [number, { files }] of everybody.entries()) {
        const line = `${number} ${i} ${'x'.repeat((i * 7) % 30)}`;
        expected.push(line);
        files.open('/dev/stdout').write(`${line}\n`);
      }
    }
    const flushed = Promise.all(everybody.map(({ files }) => files.flush()));
    for (let step = 0; main.fileSystem.pending.length > 0; step++) {
      expect(main.fileSystem.pending).toHaveLength(1);
      if (step % 5 === 0) {
        main.fileSystem.complete({ error: systemError('EAGAIN') });
        main.clock.advance(10);
      } else main.fileSystem.complete({ limit: 1 + (step % 13) });
    }
    await flushed;
    const lines = main.fileSystem.text(1).split('\n');
    expect(lines.pop()).toBe('');
    expect(lines.toSorted()).toEqual(expected.toSorted());
    for (const number of everybody.keys()) {
      const own = (line: string) => line.startsWith(`${number} `);
      expect(lines.filter(own)).toEqual(expected.filter(own));
    }
    // Each thread counts what is its own.
    for (const { stats } of everybody) {
      expect(stats.value('filesystem.write_buffered')).toBe(40);
      expect(stats.value('filesystem.write_total_buffered')).toBe(0);
    }
  });

  it('answers with what went wrong, and counts nothing', () => {
    const { main, others, server } = setUpThreads(1);
    const file = others[0]?.files.open('/dev/stdout');
    file?.write('a\n');
    main.fileSystem.complete({ error: systemError('EPIPE') });
    expect(others[0]?.stats.value('filesystem.write_failed')).toBe(1);
    expect(others[0]?.loggers.lines).toEqual([
      'file error: cannot write to log file /dev/stdout: EPIPE: from the test',
    ]);
    expect(main.stats.used()).toEqual({});
    expect(main.loggers.lines).toEqual([]);

    main.fileSystem.openErrors = [systemError('EACCES'), systemError('EACCES')];
    const answers: LogRelayAnswer[] = [];
    server.receive(0, { kind: 'open', id: 1, path: '/b' }, (answer) => answers.push(answer));
    const data = new Uint8Array(1);
    server.receive(0, { kind: 'write', id: 2, path: '/b', data }, (answer) => answers.push(answer));
    const error = expect.stringContaining('cannot open log file "/b": EACCES') as unknown;
    expect(answers).toEqual([
      { id: 1, error },
      { id: 2, error },
    ]);
  });

  it('opens a path once for all and reopens it', () => {
    const { main, others } = setUpThreads(2);
    for (const { files } of others) files.open(FIFO).write('one\n');
    main.files.open(FIFO).write('two\n');
    expect([...main.fileSystem.paths]).toEqual([[10, FIFO]]);
    main.fileSystem.completeAll();
    for (const { files } of [main, ...others]) files.reopen();
    for (const { files } of others) files.open(FIFO).write('three\n');
    main.fileSystem.completeAll();
    expect(main.fileSystem.text(10)).toBe('one\none\ntwo\n');
    expect(main.fileSystem.text(11)).toBe('three\nthree\n');
    for (const { fileSystem } of others) expect(fileSystem.closed).toEqual([10]);
  });

  it('writes what came of a worker that died, and answers nobody', async () => {
    const { main, others, server, answers } = setUpThreads(1, { batchBytes: 4 });
    const file = others[0]?.files.open('/dev/stdout');
    for (const entry of ['one\n', 'two\n', '3\n']) file?.write(entry);
    others[0]?.files.close();
    server.detach(0);
    server.detach(0);
    const flushed = main.files.flush();
    server.receive(0, { kind: 'open', id: 1, path: '/dev/stdout' }, (answer) => answers.push(answer));
    main.fileSystem.completeAll();
    await flushed;
    expect(main.fileSystem.text(1)).toBe('one\ntwo\n3\n');
    // Of the worker that has the number next.
    expect(answers).toEqual([{ id: 1, error: null }]);
  });

  it('refuses more than its bound from workers that died', () => {
    const { main, server, answers } = setUpThreads(0, { maxBufferedBytes: 10 });
    const send = (worker: number, bytes: number) => {
      const data = new Uint8Array(bytes);
      server.receive(worker, { kind: 'write', id: worker, path: '/dev/stdout', data }, (answer) =>
        answers.push(answer),
      );
    };
    for (const worker of [1, 2]) {
      send(worker, 8);
      server.detach(worker);
    }
    send(3, 1);
    expect(answers).toEqual([{ id: 3, error: 'it does not keep up: 16 bytes of other threads wait' }]);
    main.fileSystem.completeAll();
    send(4, 1);
    main.fileSystem.completeAll();
    expect(answers.slice(1)).toEqual([{ id: 4, error: null }]);
  });

  it('writes what waits when it closes, and takes no more', () => {
    const { main, others, answers } = setUpThreads(2, { batchBytes: 4 });
    main.files.open('/dev/stdout').write('0\n');
    for (const [index, { files }] of others.entries()) files.open('/dev/stdout').write(`w${index}.\n`);
    main.fileSystem.complete({ limit: 2 });
    main.fileSystem.complete({ error: systemError('EAGAIN') });
    main.files.close();
    expect(main.fileSystem.text(1)).toBe('w0.\nw1.\n0\n');
    expect(answers.map(({ error }) => error)).toEqual([null, null]);
    expect(main.stats.used()).toEqual({ 'filesystem.write_buffered': 1, 'filesystem.write_completed': 1 });
    others[0]?.files.open('/dev/stdout').write('late\n');
    expect(others[0]?.stats.value('filesystem.write_failed')).toBe(1);
  });

  it('gives a begun write a moment before it writes the rest', () => {
    const { fileSystem, files } = setUpThread();
    files.open('/a').write('one\n');
    files.close();
    expect(fileSystem.slept).toBe(20);
    const quiet = setUpThread({ batchBytes: 100 });
    quiet.files.open('/a').write('one\n');
    quiet.files.close();
    expect(quiet.fileSystem.slept).toBe(0);
  });
});
