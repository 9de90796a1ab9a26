import { EventEmitter } from 'node:events';
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError, type Extension } from '@dragoman/core';
import type { ProxyOptions } from '@dragoman/server';
import { eventually, FakeClock, MemoryStats } from '@dragoman/testing';
import { describe, expect, onTestFinished, test } from 'vitest';
import { parseFlags } from '../src/flags.ts';
import { type RunningProxy, run, type Surroundings } from '../src/run.ts';

const EXTENSIONS = [
  { category: 'network-filters', name: 'envoy.filters.network.echo' },
  { category: 'http-filters', name: 'envoy.filters.http.router' },
] as unknown as readonly Extension[];

class FakeProxy implements RunningProxy {
  adminAddress: { text: string } | undefined = { text: '127.0.0.1:9901' };
  readonly memory = new MemoryStats();
  readonly stats = { createThread: () => this.memory };
  readonly calls: string[] = [];
  readonly drained = Promise.withResolvers<void>();

  drain({ timeMs }: { readonly timeMs: number }): Promise<void> {
    this.calls.push(`drain ${timeMs}`);
    return this.drained.promise;
  }
  async close(): Promise<void> {
    this.calls.push('close');
  }
  reopenLogs(): void {
    this.calls.push('reopen');
  }
}

/** `run` in surroundings that keep what it did. The log goes to a file. */
function harness() {
  const folder = mkdtempSync(join(tmpdir(), 'dragoman-run-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const logPath = join(folder, 'proxy.log');
  const events = new EventEmitter();
  const clock = new FakeClock();
  const proxy = new FakeProxy();
  const said = { out: '', err: '', exits: [] as number[] };
  const server = {
    options: undefined as ProxyOptions | undefined,
    validated: 0,
    create: async (): Promise<RunningProxy> => proxy,
    validate: async () => {},
  };
  const told: string[] = [];
  const around: Surroundings = {
    clock,
    extensions: EXTENSIONS,
    workerExtensions: new URL('file:///extensions.js'),
    supervisor: undefined,
    inheritedSockets: () => [],
    notifier: () => ({
      ready: () => void told.push('ready'),
      stopping: () => void told.push('stopping'),
      startWatchdog: () => void told.push('watchdog'),
      close: () => void told.push('close'),
    }),
    events,
    server: {
      createProxy(options) {
        server.options = options;
        return server.create();
      },
      validateBootstrap(options) {
        server.options = options;
        server.validated++;
        return server.validate();
      },
    },
    out: (text) => void (said.out += text),
    err: (text) => void (said.err += text),
    exit: (code) => void said.exits.push(code),
  };
  const log = () => readFileSync(logPath, 'utf8');
  return {
    folder,
    logPath,
    events,
    clock,
    proxy,
    said,
    server,
    told,
    around,
    log,
    file(name: string, text: string): string {
      writeFileSync(join(folder, name), text);
      return join(folder, name);
    },
    run: (...argv: string[]) =>
      run(parseFlags(['--log-path', logPath, '--log-format', '%l %n: %v', ...argv]), around),
    /** Starts serving: `ready` when it does, `code` when it is over. */
    served(...argv: string[]) {
      const code = this.run('--config-yaml', '{}', ...argv);
      const ready = eventually(() => expect(log()).toContain('starting main dispatch loop'));
      return { code, ready };
    },
  };
}

describe('configuration', () => {
  test('of a file, with --config-yaml merged over it', async () => {
    const h = harness();
    const path = h.file('envoy.yaml', 'node: { id: a, cluster: b }\nstats_flush_interval: 1s\n');
    expect(await h.run('-c', path, '--config-yaml', 'node: { id: z }', '--mode', 'validate')).toBe(0);
    const { bootstrap } = h.server.options as ProxyOptions;
    expect(bootstrap).toMatchObject({ message: { node: { id: 'z', cluster: 'b' } }, file: path });
  });

  test('none', async () => {
    const h = harness();
    expect(await h.run()).toBe(1);
    expect(h.said.err).toBe('no configuration: give one with -c <path> or --config-yaml <yaml>\n');
    expect(h.server.options).toBeUndefined();
  });

  test('that cannot be read', async () => {
    const h = harness();
    const path = join(h.folder, 'none.yaml');
    expect(await h.run('-c', path)).toBe(1);
    expect(h.said.err).toMatch(/none\.yaml: cannot be read: ENOENT/);
  });

  test('every error on a line, with its place; nothing starts', async () => {
    const h = harness();
    const path = h.file('envoy.yaml', 'nodes: {}\nadmin:\n  address: 5\n');
    expect(await h.run('-c', path)).toBe(1);
    const lines = h.said.err.trimEnd().split('\n');
    expect(lines[0]).toBe(
      `${path}:1:1: nodes: no such field in envoy.config.bootstrap.v3.Bootstrap; did you mean "node"?`,
    );
    expect(lines[1]).toMatch(new RegExp(`^${path}:3:12: admin\\.address: `));
    expect(h.server.options).toBeUndefined();
    expect(h.log().split('\n')[0]).toBe(
      `critical main: error initializing configuration '${path}': ${lines[0]}`,
    );
  });

  test('an error in --config-yaml names the flag', async () => {
    const h = harness();
    expect(await h.run('--config-yaml', '{nodes: {}}')).toBe(1);
    expect(h.said.err).toMatch(/^--config-yaml:1:2: nodes: no such field/);
  });

  test('--allow-unknown-static-fields makes them warnings', async () => {
    const h = harness();
    const argv = ['--config-yaml', '{nodes: {}}', '--mode', 'validate'];
    expect(await h.run(...argv, '--allow-unknown-static-fields')).toBe(0);
    expect(h.log()).toContain('warning config: --config-yaml:1:2: nodes: no such field');
  });

  test('deprecated fields are warned of, unless told not to', async () => {
    const yaml = 'watchdog: { miss_timeout: 1s }';
    const loud = harness();
    expect(await loud.run('--config-yaml', yaml, '--mode', 'validate')).toBe(0);
    expect(loud.log()).toMatch(/warning config: .* is deprecated/);
    const quiet = harness();
    expect(await quiet.run('--config-yaml', yaml, '--mode', 'validate', '--skip-deprecated-logs')).toBe(0);
    expect(quiet.log()).toBe('');
  });
});

describe('validate', () => {
  test('says OK', async () => {
    const h = harness();
    const path = h.file('envoy.yaml', 'node: { id: a }');
    expect(await h.run('-c', path, '--mode', 'validate')).toBe(0);
    expect(h.said).toEqual({ out: `configuration '${path}' OK\n`, err: '', exits: [] });
    expect(h.server.validated).toBe(1);
    expect(h.events.eventNames()).toEqual([]);
  });

  test('says all that the factories find', async () => {
    const h = harness();
    h.server.validate = async () => {
      throw new ConfigError([
        { file: 'e.yaml', line: 4, column: 2, path: 'a', message: 'bad\nidea' },
        { path: 'b[0]', message: 'worse', suggestion: 'good' },
      ]);
    };
    expect(await h.run('--config-yaml', '{}', '--mode', 'validate')).toBe(1);
    expect(h.said.err).toBe('e.yaml:4:2: a: bad\\nidea\nb[0]: worse; did you mean "good"?\n');
    expect(h.said.out).toBe('');
  });
});

describe('start', () => {
  test('hands over what the flags say', async () => {
    const h = harness();
    const { code, ready } = h.served(
      ...['--service-cluster', 'c', '--service-node', 'n', '--service-zone', 'z', '--concurrency', '3'],
      ...['--drain-time-s', '45', '--drain-strategy', 'immediate', '--stats-tag', 'pod:a'],
      ...['--file-flush-interval-msec', '50', '--local-address-ip-version', 'v6'],
    );
    await ready;
    expect(h.server.options).toMatchObject({
      extensions: EXTENSIONS,
      clock: h.clock,
      flags: {
        serviceCluster: 'c',
        serviceNode: 'n',
        serviceZone: 'z',
        concurrency: 3,
        drainTimeMs: 45_000,
        drainStrategy: 'immediate',
        parentShutdownTimeMs: 900_000,
        fileFlushIntervalMs: 50,
        fileFlushMinBytes: 65_536,
        localAddressIpVersion: 'v6',
        mode: 'serve',
        statsTags: [{ name: 'pod', value: 'a' }],
        version: expect.stringMatching(/^\d+\.\d+\.\d+\/node-\d+/),
        commandLine: { drain_time: '45s', stats_tag: ['pod:a'] },
      },
    });
    h.server.options?.onQuit?.();
    expect(await code).toBe(0);
  });

  test('an empty --log-path is none', async () => {
    const h = harness();
    const flags = parseFlags(['--log-path', '', '--config-yaml', '{}', '--mode', 'validate']);
    expect(await run(flags, h.around)).toBe(0);
    expect(h.said.err).toBe('');
  });

  test('warns once of each flag without effect', async () => {
    const h = harness();
    const argv = ['--config-yaml', '{}', '--mode', 'validate', '--socket-mode', '600', '--cpuset-threads'];
    expect(await h.run(...argv)).toBe(0);
    expect(h.log().match(/^warning main: --.* has no effect: /gm)).toHaveLength(2);
  });

  test.each([
    [
      ['--restart-epoch', '1'],
      /^--restart-epoch 1: nobody is there to take over from; .*dragoman supervise --/,
    ],
    [['--restart-epoch', '1', '--skip-hot-restart-on-no-parent'], undefined],
    [['--restart-epoch', '1', '--disable-hot-restart'], undefined],
  ])('hot restarts without a supervisor: %j', async (argv, refusal) => {
    const h = harness();
    const code = await h.run('--config-yaml', '{}', '--mode', 'validate', ...argv);
    expect(code).toBe(refusal === undefined ? 0 : 1);
    if (refusal !== undefined) expect(h.said.err).toMatch(refusal);
  });

  test('--base-id-path gets the number, chosen or given', async () => {
    const h = harness();
    const path = join(h.folder, 'base');
    const start = ['--config-yaml', '{}', '--mode', 'init_only', '--base-id-path', path];
    await h.run(...start, '--base-id', '5');
    expect(readFileSync(path, 'utf8')).toBe('5');
    await h.run('--config-yaml', '{}', '--mode', 'validate', '--base-id-path', path, '--base-id', '6');
    expect(readFileSync(path, 'utf8')).toBe('5');
    await h.run(...start, '--use-dynamic-base-id');
    expect(readFileSync(path, 'utf8')).toBe(String(process.pid));
    expect(h.server.options?.flags?.commandLine).toMatchObject({ base_id: String(process.pid) });
    expect(await h.run('--config-yaml', '{}', '--base-id-path', h.folder)).toBe(1);
    expect(h.said.err).toMatch(/--base-id-path: cannot write/);
  });

  test('workers are threads, unless --in-thread', async () => {
    const h = harness();
    const validate = ['--config-yaml', '{}', '--mode', 'validate'];
    await h.run(...validate, '--concurrency', '3');
    expect(h.server.options).toMatchObject({
      threads: { extensions: new URL('file:///extensions.js') },
      flags: { concurrency: 3 },
    });
    await h.run(...validate, '--in-thread');
    expect(h.server.options?.threads).toBe('inline');
  });

  test('turns extensions off by Envoy’s names', async () => {
    const h = harness();
    const names = 'envoy.filters.network/envoy.filters.network.echo,envoy.filters.http.router,a/envoy.nobody';
    expect(await h.run('--config-yaml', '{}', '--mode', 'validate', '--disable-extensions', names)).toBe(0);
    expect(h.server.options?.flags?.disabledExtensions).toEqual([
      'envoy.filters.network.echo',
      'envoy.filters.http.router',
    ]);
    expect(h.log()).toContain("warning config: failed to disable unknown extension 'a/envoy.nobody'");
    expect(h.log()).toContain("info config: disabled extension 'envoy.filters.http.router'");
  });

  test('writes the admin address once it is bound', async () => {
    const h = harness();
    const path = join(h.folder, 'admin');
    const { code, ready } = h.served('--admin-address-path', path);
    await ready;
    expect(readFileSync(path, 'utf8')).toBe('127.0.0.1:9901');
    h.events.emit('SIGTERM');
    h.proxy.drained.resolve();
    expect(await code).toBe(0);
  });

  test('serves on when the admin address cannot be written', async () => {
    const h = harness();
    const { code, ready } = h.served('--admin-address-path', join(h.folder, 'no', 'such', 'folder'));
    await ready;
    expect(h.log()).toContain('critical admin: cannot write the admin address to');
    h.server.options?.onQuit?.();
    expect(await code).toBe(0);
  });

  test('init_only ends when all is there', async () => {
    const h = harness();
    expect(await h.run('--config-yaml', '{}', '--mode', 'init_only')).toBe(0);
    expect(h.server.options?.flags?.mode).toBe('init_only');
    expect(h.proxy.calls).toEqual(['close']);
    expect(h.events.eventNames()).toEqual([]);
  });

  test('a port that is taken: where it was asked for, exit 1', async () => {
    const h = harness();
    h.server.create = async () => {
      throw ConfigError.at('static_resources.listeners[0].address', 'cannot listen on 127.0.0.1:10000');
    };
    expect(await h.run('--config-yaml', '{}')).toBe(1);
    expect(h.said.err).toBe('static_resources.listeners[0].address: cannot listen on 127.0.0.1:10000\n');
    expect(h.events.eventNames()).toEqual([]);
  });

  test('another error: its message to the user, its stack to the log', async () => {
    const h = harness();
    h.server.create = async () => {
      throw new TypeError('x is not a function');
    };
    expect(await h.run('--config-yaml', '{}')).toBe(1);
    expect(h.said.err).toBe('dragoman: cannot start: x is not a function\n');
    expect(h.log()).toMatch(/critical main: cannot start: TypeError: x is not a function\\n +at /);
  });

  test.each([
    [['--log-format', '%k'], 'dragoman: log format "%k": unknown flag "%k"\n'],
    [['--log-path', '/nowhere/at/all'], /^dragoman: cannot open log file "\/nowhere\/at\/all": ENOENT.*\n$/],
  ])('a log that cannot be: %j', async (argv, expected) => {
    const h = harness();
    expect(await run(parseFlags(['--config-yaml', '{}', ...argv]), h.around)).toBe(1);
    expect(h.said.err).toMatch(expected);
    expect(h.server.options).toBeUndefined();
  });
});

describe('end', () => {
  test.each(['SIGTERM', 'SIGINT'])('%s drains for 25 s, closes and is a success', async (signal) => {
    const h = harness();
    const { code, ready } = h.served();
    await ready;
    h.events.emit(signal);
    await eventually(() => expect(h.proxy.calls).toEqual(['drain 25000']));
    h.proxy.drained.resolve();
    expect(await code).toBe(0);
    expect(h.proxy.calls).toEqual(['drain 25000', 'close']);
    expect(h.log()).toContain(`caught ${signal}`);
    expect(h.log().trimEnd()).toMatch(/exiting$/);
    expect(h.said).toEqual({ out: '', err: '', exits: [] });
    expect(h.events.eventNames()).toEqual([]);
    expect(h.clock.pendingTimers).toBe(0);
  });

  test('/quitquitquit ends a drain that has begun', async () => {
    const h = harness();
    const { code, ready } = h.served();
    await ready;
    h.events.emit('SIGTERM');
    await eventually(() => expect(h.proxy.calls).toEqual(['drain 25000']));
    h.server.options?.onQuit?.();
    expect(await code).toBe(0);
    expect(h.proxy.calls).toEqual(['drain 25000', 'close']);
  });

  test.each([
    ['45', 'drain 45000'],
    ['0', 'drain 0'],
  ])('--drain-time-s %s', async (seconds, call) => {
    const h = harness();
    h.proxy.drained.resolve();
    const { code, ready } = h.served('--drain-time-s', seconds);
    await ready;
    h.events.emit('SIGTERM');
    expect(await code).toBe(0);
    expect(h.proxy.calls).toEqual([call, 'close']);
  });

  test.each([
    ['SIGTERM', 'SIGINT', 130],
    ['SIGINT', 'SIGTERM', 143],
  ])('%s, then %s: at once', async (first, second, status) => {
    const h = harness();
    const { code, ready } = h.served();
    await ready;
    h.events.emit(first);
    h.events.emit(second);
    // What was logged is written first.
    await eventually(() => expect(h.said.exits).toEqual([status]));
    expect(h.proxy.calls).toContain('close');
    h.proxy.drained.resolve();
    await code;
  });

  test('a second signal waits a second at most for what was logged', async () => {
    const h = harness();
    const { code, ready } = h.served();
    await ready;
    const closing = Promise.withResolvers<void>();
    h.proxy.close = () => closing.promise;
    h.events.emit('SIGTERM');
    h.events.emit('SIGTERM');
    expect(h.said.exits).toEqual([]);
    h.clock.advance(1000);
    await eventually(() => expect(h.said.exits).toEqual([143]));
    closing.resolve();
    h.proxy.drained.resolve();
    await code;
  });

  test('tells the service manager when it serves and when it stops', async () => {
    const h = harness();
    const { code, ready } = h.served();
    await ready;
    expect(h.told).toEqual(['ready', 'watchdog']);
    h.events.emit('SIGTERM');
    h.proxy.drained.resolve();
    await code;
    expect(h.told).toEqual(['ready', 'watchdog', 'stopping', 'close']);
  });

  test('a drain that hangs or fails does not keep it from closing', async () => {
    const hangs = harness();
    const first = hangs.served('--drain-time-s', '10');
    await first.ready;
    hangs.events.emit('SIGTERM');
    await eventually(() => expect(hangs.proxy.calls).toEqual(['drain 10000']));
    hangs.clock.advance(15_000);
    expect(await first.code).toBe(0);
    expect(hangs.log()).toContain('error main: draining took longer than 15000 ms');

    const fails = harness();
    fails.proxy.drain = async () => {
      throw new Error('no');
    };
    fails.proxy.close = async () => {
      throw new Error('never');
    };
    const second = fails.served();
    await second.ready;
    fails.events.emit('SIGTERM');
    expect(await second.code).toBe(0);
    expect(fails.log()).toMatch(
      /error main: draining failed: Error: no[\s\S]*error main: closing failed: Error: never/,
    );
  });

  test('/quitquitquit closes without draining', async () => {
    const h = harness();
    const { code, ready } = h.served();
    await ready;
    h.server.options?.onQuit?.();
    expect(await code).toBe(0);
    expect(h.proxy.calls).toEqual(['close']);
  });

  test('a signal before it serves: nothing stays', async () => {
    const h = harness();
    const late = Promise.withResolvers<RunningProxy>();
    h.server.create = () => late.promise;
    const code = h.run('--config-yaml', '{}');
    await eventually(() => expect(h.events.listenerCount('SIGTERM')).toBe(1));
    h.events.emit('SIGTERM');
    expect(await code).toBe(0);
    late.resolve(h.proxy);
    await eventually(() => expect(h.proxy.calls).toEqual(['close']));
  });
});

describe('other signals', () => {
  test('SIGUSR1 opens all logs anew, SIGHUP does nothing', async () => {
    const h = harness();
    const { code, ready } = h.served();
    await ready;
    renameSync(h.logPath, `${h.logPath}.1`);
    h.events.emit('SIGUSR1');
    expect(h.proxy.calls).toEqual(['reopen']);
    h.events.emit('SIGHUP');
    expect(h.log()).toContain('caught SIGHUP: ignored');
    expect(readFileSync(`${h.logPath}.1`, 'utf8')).toContain('reopening logs');
    h.server.options?.onQuit?.();
    expect(await code).toBe(0);
  });
});

describe('what nobody caught', () => {
  test('is logged with its stack and counted, and the proxy serves on', async () => {
    const h = harness();
    const { code, ready } = h.served();
    await ready;
    h.events.emit('uncaughtException', new TypeError('oops\nforged'));
    h.events.emit('unhandledRejection', Object.create(null));
    h.events.emit('unhandledRejection', undefined);
    expect(h.log()).toMatch(
      /critical main: uncaught exception \(1 so far\): TypeError: oops\\nforged\\n +at /,
    );
    expect(h.log()).toContain('critical main: unhandled rejection (2 so far): a value that has no text\n');
    expect(h.log()).toContain('critical main: unhandled rejection (3 so far): undefined\n');
    expect(h.proxy.memory.value('server.envoy_bug_failures')).toBe(3);
    expect(h.proxy.calls).toEqual([]);
    h.server.options?.onQuit?.();
    expect(await code).toBe(0);
  });

  test('a storm of it does not fill the disk', async () => {
    const h = harness();
    const { code, ready } = h.served();
    await ready;
    for (let i = 0; i < 1000; i++) h.events.emit('uncaughtException', new Error('again'));
    expect(h.log().match(/uncaught exception/g)).toHaveLength(20);
    h.clock.advance(10_000);
    h.events.emit('uncaughtException', new Error('again'));
    expect(h.log()).toContain('980 more faults were not logged\n');
    expect(h.log()).toContain('uncaught exception (1001 so far)');
    expect(h.proxy.memory.value('server.envoy_bug_failures')).toBe(1001);
    h.server.options?.onQuit?.();
    expect(await code).toBe(0);
  });

  test('before it serves it ends the start', async () => {
    const h = harness();
    h.server.create = () => new Promise(() => {});
    const code = h.run('--config-yaml', '{}');
    await eventually(() => expect(h.events.listenerCount('uncaughtException')).toBe(1));
    h.events.emit('uncaughtException', new Error('in a timer'));
    expect(await code).toBe(1);
    expect(h.log()).toContain('critical main: uncaught exception (1 so far): Error: in a timer');
  });
});
