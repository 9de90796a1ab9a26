import { EventEmitter } from 'node:events';
import { FakeClock } from '@dragoman/testing';
import { expect, it } from 'vitest';
import { runSupervisor, type SupervisorSurroundings } from '../src/run-supervisor.ts';
import { FakeBinder, FakeChild } from './scene.ts';

function scene(env: NodeJS.ProcessEnv = {}) {
  const written = { out: '', error: '' };
  const started: { execPath: string; args: readonly string[]; env: NodeJS.ProcessEnv; child: FakeChild }[] =
    [];
  const signals = new EventEmitter();
  const surroundings: SupervisorSurroundings = {
    entry: '/bin/dragoman.js',
    execPath: '/bin/node',
    execArgv: ['--disable-sigusr1'],
    env,
    pid: 99,
    signals,
    write: (text) => void (written.out += text),
    writeError: (text) => void (written.error += text),
    clock: new FakeClock(),
    binder: new FakeBinder(),
    spawn: (execPath, args, given) => {
      const child = new FakeChild(started.length);
      started.push({ execPath, args, env: given, child });
      return child;
    },
  };
  return { written, started, signals, surroundings };
}

it('runs one epoch after another, and answers with the exit code of the last', async () => {
  const { written, started, signals, surroundings } = scene({
    PATH: '/bin',
    NOTIFY_SOCKET: '/run/systemd/notify',
    WATCHDOG_USEC: '1',
    WATCHDOG_PID: '99',
    LISTEN_PID: '99',
    LISTEN_FDS: '1',
    LISTEN_FDNAMES: 'x',
  });
  const code = runSupervisor(['--', '-c', 'x.yaml'], surroundings);
  started[0].child.live();
  signals.emit('SIGHUP', 'SIGHUP');
  started[1].child.live();
  started[0].child.end(0);
  started[1].child.end(5);
  expect(await code).toBe(5);
  const flags = ['--disable-sigusr1', '/bin/dragoman.js', '-c', 'x.yaml', '--restart-epoch'];
  expect(started.map(({ args }) => args)).toEqual([
    [...flags, '0'],
    [...flags, '1'],
  ]);
  expect(started[0]).toMatchObject({
    execPath: '/bin/node',
    env: { PATH: '/bin', DRAGOMAN_SUPERVISED: '1' },
  });
  expect(Object.keys(started[0].env)).toEqual(['PATH', 'DRAGOMAN_SUPERVISED']);
  expect(written.error.split('\n')[0]).toMatch(
    /^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\]\[99\]\[info\]\[supervisor\] started epoch 0 \(pid 1000\)$/,
  );
  expect(written.out).toBe('');
});

it.each([
  [['-c', 'x'], 'dragoman supervise: the flags of dragoman must follow two dashes'],
  [['--', '--restart-epoch', '1'], 'dragoman supervise: --restart-epoch is set for each epoch'],
])('refuses %j', async (argv, text) => {
  const { written, started, surroundings } = scene();
  expect(await runSupervisor(argv, surroundings)).toBe(1);
  expect(written.error).toContain(text);
  expect(started).toEqual([]);
});

it('has a --help', async () => {
  const { written, started, surroundings } = scene();
  expect(await runSupervisor(['--help'], surroundings)).toBe(0);
  expect(written.out).toContain(
    'Usage: dragoman supervise [--start-timeout-s <seconds>] -- <flags of dragoman>',
  );
  expect(Math.max(...written.out.split('\n').map((line) => line.length))).toBeLessThanOrEqual(110);
  expect(started).toEqual([]);
});
