import { FakeClock } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { listenDescriptors, ServiceNotifier, type ServiceNotifierOptions } from '../src/index.ts';
import { DatagramReceiver } from './datagram-receiver.ts';
import { describeWithFfi } from './with-ffi.ts';

const PID = 4711;

describe('listenDescriptors', () => {
  it.each<[string, NodeJS.ProcessEnv, [number, string][]]>([
    ['nothing', {}, []],
    ['no LISTEN_PID', { LISTEN_FDS: '1' }, []],
    ['another process', { LISTEN_PID: '4712', LISTEN_FDS: '1', LISTEN_FDNAMES: 'a' }, []],
    ['another process, not read further', { LISTEN_PID: '4712', LISTEN_FDS: 'x' }, []],
    ['no LISTEN_FDS', { LISTEN_PID: '4711' }, []],
    ['none', { LISTEN_PID: '4711', LISTEN_FDS: '0', LISTEN_FDNAMES: '' }, []],
    [
      'no names',
      { LISTEN_PID: '4711', LISTEN_FDS: '2' },
      [
        [3, 'unknown'],
        [4, 'unknown'],
      ],
    ],
    [
      'names',
      { LISTEN_PID: '4711', LISTEN_FDS: '3', LISTEN_FDNAMES: 'http::https' },
      [
        [3, 'http'],
        [4, ''],
        [5, 'https'],
      ],
    ],
  ])('%s', (_, env, expected) => {
    expect(listenDescriptors(env, PID)).toEqual(expected.map(([fd, name]) => ({ fd, name })));
  });

  it.each<[NodeJS.ProcessEnv, string]>([
    [{ LISTEN_PID: '' }, "LISTEN_PID is '': it must be a whole number from 1 to 2147483647"],
    [{ LISTEN_PID: '0' }, "LISTEN_PID is '0'"],
    [{ LISTEN_PID: '4711x' }, "LISTEN_PID is '4711x'"],
    [{ LISTEN_PID: '-4711' }, "LISTEN_PID is '-4711'"],
    [{ LISTEN_FDS: '' }, "LISTEN_FDS is '': it must be a whole number from 0 to 1048576"],
    [{ LISTEN_FDS: '1.5' }, "LISTEN_FDS is '1.5'"],
    [{ LISTEN_FDS: '0x1' }, "LISTEN_FDS is '0x1'"],
    [{ LISTEN_FDS: '99999999999999999999' }, "LISTEN_FDS is '99999999999999999999'"],
    [{ LISTEN_FDS: '2', LISTEN_FDNAMES: 'a' }, 'LISTEN_FDNAMES has 1 names, LISTEN_FDS says 2'],
    [{ LISTEN_FDS: '1', LISTEN_FDNAMES: 'a:b' }, 'LISTEN_FDNAMES has 2 names, LISTEN_FDS says 1'],
  ])('refuses %j', (env, message) => {
    expect(() => listenDescriptors({ LISTEN_PID: '4711', ...env }, PID)).toThrow(message);
  });
});

/** A notifier on fake time, and what it sent. */
function setUp(env: NodeJS.ProcessEnv, over: Partial<ServiceNotifierOptions> = {}) {
  const clock = new FakeClock();
  const sent: [string, string][] = [];
  const send = (path: string, text: string) => void sent.push([path, text]);
  const notifier = new ServiceNotifier({ env, clock, send, monotonicUs: () => 1234n, pid: PID, ...over });
  return { clock, sent, notifier, messages: () => sent.splice(0).map(([, text]) => text) };
}

const NOTIFY = { NOTIFY_SOCKET: '@notify' };

describe('ServiceNotifier', () => {
  it.each<[string, (notifier: ServiceNotifier) => void]>([
    ['READY=1', (notifier) => notifier.ready()],
    ['READY=1\nSTATUS=serving', (notifier) => notifier.ready('serving')],
    ['RELOADING=1\nMONOTONIC_USEC=1234', (notifier) => notifier.reloading()],
    ['STOPPING=1', (notifier) => notifier.stopping()],
    ['STATUS=3 connections', (notifier) => notifier.status('3 connections')],
    ['STATUS=a MAINPID=1 b', (notifier) => notifier.status('a\nMAINPID=1\r\nb')],
    ['MAINPID=17', (notifier) => notifier.mainPid(17)],
  ])('sends %j', (message, act) => {
    const { notifier, sent } = setUp(NOTIFY);
    act(notifier);
    expect(sent).toEqual([['@notify', message]]);
  });

  it.each([{}, { NOTIFY_SOCKET: '' }])('does nothing with %j', (env) => {
    const { notifier, sent, clock } = setUp({ ...env, WATCHDOG_USEC: 'not read' });
    notifier.ready('serving');
    notifier.reloading();
    notifier.stopping();
    notifier.status('x');
    notifier.mainPid(1);
    notifier.startWatchdog(() => true);
    notifier.close();
    expect(sent).toEqual([]);
    expect(clock.pendingTimers).toBe(0);
  });

  it('reports the first failure only, and never throws', () => {
    const errors: Error[] = [];
    const { notifier } = setUp(NOTIFY, {
      send: () => {
        throw new Error('connection refused');
      },
      onError: (error) => errors.push(error),
    });
    notifier.ready();
    notifier.status('x');
    expect(errors).toEqual([new Error('connection refused')]);
    setUp(NOTIFY, {
      send: () => {
        throw new Error('nobody is told');
      },
    }).notifier.ready();
  });

  it('is silent after close', () => {
    const { notifier, sent, clock } = setUp({ ...NOTIFY, WATCHDOG_USEC: '1000000' });
    notifier.startWatchdog(() => true);
    sent.length = 0;
    notifier.close();
    notifier.close();
    notifier.ready();
    notifier.startWatchdog(() => true);
    clock.advance(10_000);
    expect(sent).toEqual([]);
    expect(clock.pendingTimers).toBe(0);
  });
});

describe('the watchdog', () => {
  it('beats at once and after each half of WATCHDOG_USEC while the process is healthy', () => {
    const { notifier, clock, messages } = setUp({ ...NOTIFY, WATCHDOG_USEC: '3000000' });
    let healthy = true;
    notifier.startWatchdog(() => healthy);
    expect(messages()).toEqual(['WATCHDOG=1']);
    clock.advance(1499);
    expect(messages()).toEqual([]);
    clock.advance(1);
    expect(messages()).toEqual(['WATCHDOG=1']);
    healthy = false;
    clock.advance(6000);
    expect(messages()).toEqual([]);
    healthy = true;
    clock.advance(3000);
    expect(messages()).toEqual(['WATCHDOG=1', 'WATCHDOG=1']);
  });

  it('has one timer when it is started again, and the newer question', () => {
    const { notifier, clock, messages } = setUp({ ...NOTIFY, WATCHDOG_USEC: '2000000' });
    notifier.startWatchdog(() => true);
    notifier.startWatchdog(() => false);
    expect(messages()).toEqual(['WATCHDOG=1']);
    clock.advance(5000);
    expect(messages()).toEqual([]);
    expect(clock.pendingTimers).toBe(1);
  });

  it('may be closed by the question itself', () => {
    const { notifier, clock, messages } = setUp({ ...NOTIFY, WATCHDOG_USEC: '2000000' });
    notifier.startWatchdog(() => {
      notifier.close();
      return true;
    });
    expect(messages()).toEqual([]);
    expect(clock.pendingTimers).toBe(0);
  });

  it.each<[NodeJS.ProcessEnv, boolean]>([
    [{}, false],
    [{ WATCHDOG_PID: '4711' }, false],
    [{ WATCHDOG_USEC: '1000', WATCHDOG_PID: '4712' }, false],
    [{ WATCHDOG_USEC: '1000', WATCHDOG_PID: '4711' }, true],
    [{ WATCHDOG_USEC: '1000' }, true],
  ])('with %j is wanted: %s', (env, wanted) => {
    const { notifier, clock, messages } = setUp({ ...NOTIFY, ...env });
    notifier.startWatchdog(() => true);
    expect(messages()).toEqual(wanted ? ['WATCHDOG=1'] : []);
    expect(clock.pendingTimers).toBe(wanted ? 1 : 0);
  });

  it.each([
    ['WATCHDOG_USEC', '0'],
    ['WATCHDOG_USEC', '18446744073709551615'],
    ['WATCHDOG_USEC', '5s'],
    ['WATCHDOG_PID', ''],
  ])('refuses %s=%s', (name, value) => {
    expect(() => setUp({ ...NOTIFY, [name]: value })).toThrow(`${name} is '${value}': it must be`);
  });
});

describeWithFfi('a service manager', () => {
  it('is told', () => {
    using receiver = new DatagramReceiver();
    const env = { NOTIFY_SOCKET: receiver.path, WATCHDOG_USEC: '30000000' };
    const clock = new FakeClock();
    const notifier = new ServiceNotifier({ env, clock, onError: (error) => expect.fail(error.message) });
    notifier.ready('serving');
    notifier.startWatchdog(() => true);
    clock.advance(15_000);
    const before = process.hrtime.bigint() / 1000n;
    notifier.reloading();
    expect(receiver.receive()).toBe('READY=1\nSTATUS=serving');
    expect(receiver.receive()).toBe('WATCHDOG=1');
    expect(receiver.receive()).toBe('WATCHDOG=1');
    const reloading = /^RELOADING=1\nMONOTONIC_USEC=(\d+)$/.exec(receiver.receive() ?? '');
    expect(BigInt(reloading?.[1] ?? 0)).toBeGreaterThanOrEqual(before);
    expect(receiver.receive()).toBeUndefined();
    notifier.close();
  });

  it('that is gone is reported', () => {
    const errors: Error[] = [];
    const env = { NOTIFY_SOCKET: '@nobody-is-here' };
    const notifier = new ServiceNotifier({
      env,
      clock: new FakeClock(),
      onError: (error) => errors.push(error),
    });
    notifier.ready();
    notifier.stopping();
    expect(errors).toEqual([expect.objectContaining({ code: 'ECONNREFUSED' })]);
  });
});
