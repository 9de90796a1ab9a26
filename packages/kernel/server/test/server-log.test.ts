import { mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError, LOG_LEVELS, type LogLevel } from '@dragoman/core';
import { FakeClock } from '@dragoman/testing';
import fc from 'fast-check';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import {
  createServerLog,
  LOG_COMPONENTS,
  type LogFileSystem,
  type ServerLogOptions,
  silentServerLog,
} from '../src/log/index.ts';

beforeAll(() => {
  process.env.TZ = 'America/New_York';
});

const WHEN = Date.UTC(2026, 10, 23, 11, 54, 36, 123);

function logged(options: Partial<ServerLogOptions> = {}) {
  const lines: string[] = [];
  const clock = new FakeClock(WHEN);
  const thread = { processId: 41, threadId: 42 };
  const log = createServerLog({ clock, thread, write: (line) => lines.push(line), ...options });
  return { log, lines, clock };
}

describe('lines', () => {
  test("Envoy's default layout", () => {
    const { log, lines } = logged();
    log.logger('main').info('all clusters initialized');
    expect(lines).toEqual(['[2026-11-23 06:54:36.123][42][info][main] all clusters initialized']);
  });

  test.each([
    ['%v', 'ready'],
    ['%t %P %n %l %L', '42 41 router warning W'],
    ['%a %A %b %B %h', 'Mon Monday Nov November Nov'],
    ['%c', 'Mon Nov 23 06:54:36 2026'],
    ['%C %Y %D %x %m %d', '26 2026 11/23/26 11/23/26 11 23'],
    ['%H %I %M %S %e %f %F', '06 06 54 36 123 123000 123000000'],
    ['%E', String(Math.floor(WHEN / 1000))],
    ['%p %r %R %T %X %z', 'AM 06:54:36 AM 06:54 06:54:36 06:54:36 -05:00'],
    ['100%% %v', '100% ready'],
    ['%+', '[2026-11-23 06:54:36.123] [router] [warning] ready'],
    ['[%Y-%m-%d %T.%e][%t][%l][%n] [%g:%#] %v', '[2026-11-23 06:54:36.123][42][warning][router] ready'],
    ['<%@%s%g%#%!%^%$%*>', '<>'],
    ['[%10l][%-10l][%=11l][%3!l][%0v]', '[   warning][warning   ][  warning  ][war][ready]'],
    ['%N|%_|%j', '1.2.3|ready|ready'],
    ['%3!%', '  %'],
    ['', ''],
  ])('pattern %j', (format, expected) => {
    const { log, lines } = logged({ format, version: '1.2.3' });
    log.logger('router').warn('ready');
    expect(lines).toEqual([expected]);
  });

  test.each(['%k', '%v %Q', '%', 'ends in %', '%-v', '%5', '%=8'])('pattern %j is refused', (format) => {
    expect(() => logged({ format })).toThrow(ConfigError);
    expect(() => logged({ format })).toThrow('unknown flag');
  });

  test('JSON: one object a line', () => {
    const { log, lines } = logged({ format: 'json' });
    log.logger('http').error('a "b"\n\u0085\u2028\u007f\u001b');
    expect(JSON.parse(lines[0])).toEqual({
      time: '2026-11-23T11:54:36.123Z',
      level: 'error',
      logger: 'http',
      message: 'a "b"\n\u0085\u2028\u007f\u001b',
      thread: 42,
    });
    expect(lines[0]).toContain('\\n\\u0085\\u2028\\u007f\\u001b');
  });

  test('control characters cannot forge a line or drive a terminal', () => {
    const { log, lines } = logged({ format: '%n: %v' });
    log.logger('a\nb').info('x\r\n[info] forged\t\x1b[2J\x00\x7f\x9b\u2028\u202e');
    expect(lines).toEqual(['a\\nb: x\\r\\n[info] forged\\t\\x1b[2J\\x00\\x7f\\x9b\\u2028\\u202e']);
  });

  test('escaped: backslashes and quotes as well', () => {
    const { log, lines } = logged({ format: '%v', escaped: true });
    log.logger('main').info('say "it\'s" \\n\n');
    expect(lines).toEqual(['say \\"it\\\'s\\" \\\\n\\n']);
  });

  test('any text in any format stays one line', () => {
    const line = fc.constantFrom('%v', 'json', '%n %j', '%20!v', undefined);
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), line, fc.boolean(), (message, format, escaped) => {
        const { log, lines } = logged({ format, escaped });
        log.logger(message).critical(message);
        expect(lines).toHaveLength(1);
        expect(lines[0]).not.toMatch(/[\x00-\x1f\x7f-\x9f\u2028\u2029]/);
      }),
    );
  });

  test('a message has a limit', () => {
    const { log, lines } = logged({ format: '%v' });
    log.logger('main').info('x'.repeat(40_000));
    expect(lines[0]).toMatch(/^x{32768}… \(7232 more characters\)$/);
  });

  test('the thread is this process unless told', () => {
    const { log, lines } = logged({ format: '%P', thread: undefined });
    log.logger('main').info('');
    expect(lines).toEqual([String(process.pid)]);
  });
});

describe('levels', () => {
  const says = (options: Partial<ServerLogOptions>) => {
    const { log, lines } = logged({ format: '%l', ...options });
    const logger = log.logger('main');
    logger.trace('');
    logger.debug('');
    logger.info('');
    logger.warn('');
    logger.error('');
    logger.critical('');
    const enabled = LOG_LEVELS.filter((level) => logger.enabled(level));
    expect(enabled).toEqual(lines);
    return lines;
  };

  test.each(LOG_LEVELS.map((level, index) => [level, index] as const))('%s', (level, index) => {
    expect(says({ level })).toEqual(LOG_LEVELS.slice(index, -1));
  });

  test('info by default', () => expect(says({})).toEqual(['info', 'warning', 'error', 'critical']));

  test('a component has its own', () => {
    expect(says({ level: 'off', componentLevels: { main: 'error' } })).toEqual(['error', 'critical']);
  });

  test('they change while running, for loggers in use and those made later', () => {
    const { log, lines } = logged({ format: '%n %l', level: 'error' });
    const early = log.logger('my_filter');
    expect(log.setLevel(undefined, 'debug')).toBe(true);
    early.debug('');
    log.logger('later').debug('');
    expect(log.setLevel('my_filter', 'off')).toBe(true);
    early.critical('');
    expect(lines).toEqual(['my_filter debug', 'later debug']);
    expect(log.setLevel('nobody', 'info')).toBe(false);
  });

  test("all of Envoy's components are there, each once, and those in use", () => {
    const { log } = logged({ level: 'warning', componentLevels: { upstream: 'trace' } });
    expect(log.logger('main')).toBe(log.logger('main'));
    log.logger('my_filter');
    const loggers = log.loggers();
    expect(loggers.map(({ name }) => name)).toEqual([...LOG_COMPONENTS, 'my_filter']);
    const levels = new Map<string, LogLevel>(loggers.map(({ name, level }) => [name, level]));
    expect(levels.get('upstream')).toBe('trace');
    expect(levels.get('router')).toBe('warning');
    expect(levels.get('my_filter')).toBe('warning');
  });

  test('silent', () => {
    const log = silentServerLog();
    expect(log.logger('main').enabled('critical')).toBe(false);
    log.logger('main').critical('nothing');
    log.reopen();
    log.close();
  });
});

/** A file system in memory whose target takes as many bytes as it is told to. */
class Target implements LogFileSystem {
  written = '';
  room = Number.POSITIVE_INFINITY;
  /** Codes of errors that the next writes fail with. */
  errors: string[] = [];
  slept = 0;
  /** Room gained by each millisecond of waiting. */
  gain = 0;
  readonly descriptors: number[] = [];

  open(path: string): number {
    if (path === '/none') throw Object.assign(new Error('ENOENT: no such file'), { code: 'ENOENT' });
    this.descriptors.push(this.descriptors.length + 3);
    return this.descriptors.length + 2;
  }
  write(_fd: number, data: Uint8Array): number {
    const code = this.errors.shift() ?? (this.room === 0 ? 'EAGAIN' : undefined);
    if (code !== undefined) throw Object.assign(new Error(code), { code });
    const taken = Math.min(this.room, data.length);
    this.room -= taken;
    this.written += Buffer.from(data.subarray(0, taken)).toString();
    return taken;
  }
  close(fd: number): void {
    this.descriptors.splice(this.descriptors.indexOf(fd), 1);
  }
  sleep(ms: number): void {
    this.slept += ms;
    this.room += this.gain;
  }
}

describe('the target', () => {
  const to = (files: Target, options: Partial<ServerLogOptions> = {}) =>
    logged({ write: undefined, path: '/log', format: '%v', files, ...options }).log;

  test('takes pieces, with waits between', () => {
    const files = new Target();
    files.room = 2;
    files.gain = 3;
    to(files).logger('main').info('0123456789');
    expect(files.written).toBe('0123456789\n');
    expect(files.slept).toBe(3);
  });

  test('takes nothing: lines are dropped without further waits, then counted', () => {
    const files = new Target();
    files.room = 3;
    const log = to(files, { format: '%l:%v' });
    const main = log.logger('main');
    main.info('first');
    const patience = files.slept;
    expect(patience).toBeGreaterThan(0);
    expect(patience).toBeLessThanOrEqual(100);
    main.info('second');
    main.info('third');
    expect(files.slept).toBe(patience);
    files.room = Number.POSITIVE_INFINITY;
    main.info('fourth');
    expect(files.written).toBe(
      'info:first\nwarning:2 lines of this log were dropped: nobody read it\ninfo:fourth\n',
    );
  });

  test('what waits is written at the end', () => {
    const files = new Target();
    files.room = 0;
    const log = to(files);
    log.logger('main').critical('last words');
    files.gain = 4;
    log.close();
    log.logger('main').info('too late');
    expect(files.written).toBe('last words\n');
    expect(files.descriptors).toEqual([]);
    log.close();
    log.reopen();
    expect(files.descriptors).toEqual([]);
  });

  test.each(['EPIPE', 'ENOSPC', 'EIO', 'EBADF'])('%s loses a line and nothing else', (code) => {
    const files = new Target();
    files.errors = [code];
    const log = to(files);
    log.logger('main').info('lost');
    log.logger('main').info('next');
    expect(files.written).toBe('next\n');
  });

  test('an interrupted write is repeated', () => {
    const files = new Target();
    files.errors = ['EINTR', 'EINTR'];
    to(files).logger('main').info('there');
    expect(files.written).toBe('there\n');
  });

  test('cannot be opened: refused', () => {
    expect(() => to(new Target(), { path: '/none' })).toThrow(
      'cannot open log file "/none": ENOENT: no such file',
    );
  });

  test('a function that throws does not matter', () => {
    const { log } = logged({
      write: () => {
        throw new Error('full');
      },
    });
    log.logger('main').info('fine');
  });

  test('a file is appended to, and opened anew after it was moved away', () => {
    const folder = mkdtempSync(join(tmpdir(), 'dragoman-log-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const path = join(folder, 'proxy.log');
    const { log } = logged({ write: undefined, path, format: '%v' });
    log.logger('main').info('one');
    renameSync(path, `${path}.1`);
    log.logger('main').info('two');
    log.reopen();
    log.logger('main').info('three');
    log.close();
    const again = logged({ write: undefined, path, format: '%v' }).log;
    again.logger('main').info('four');
    again.close();
    expect(readFileSync(`${path}.1`, 'utf8')).toBe('one\ntwo\n');
    expect(readFileSync(path, 'utf8')).toBe('three\nfour\n');
  });

  test('that cannot be opened anew stays in use, with a word about it', () => {
    const files = new Target();
    const { log } = logged({ write: undefined, path: '/log', format: '%n %l %v', files });
    files.open = () => {
      throw new Error('EMFILE: too many open files');
    };
    log.reopen();
    log.logger('main').info('on');
    expect(files.written).toBe(
      'file error cannot reopen log file "/log": EMFILE: too many open files\nmain info on\n',
    );
  });
});
