import { describe, expect, it } from 'vitest';
import { FakeChild, Scene, wants } from './scene.ts';

describe('epoch 0', () => {
  it('is ready when it says so, and only then', () => {
    const scene = new Scene();
    scene.last.hello();
    expect(scene.notices).toEqual([]);
    scene.last.say({ kind: 'live' });
    expect(scene.notices).toEqual(['ready: epoch 0 is live', 'watchdog']);
    expect(scene.healthy()).toBe(true);
    expect(scene.lines).toEqual(['info: started epoch 0 (pid 1000)', 'info: epoch 0 (pid 1000) is live']);
  });

  it.each([
    ['a clean exit', 0, null, 0],
    ['an error', 3, null, 3],
    ['a signal', null, 'SIGSEGV', 1],
  ] as const)('that ends with %s before it is live ends the supervisor', (_, code, signal, expected) => {
    const scene = new Scene();
    scene.last.end(code, signal);
    expect(scene.exits).toEqual([expected]);
    expect(scene.notices).toEqual(['close']);
    expect(scene.signals.eventNames()).toEqual([]);
    expect(scene.clock.pendingTimers).toBe(0);
  });

  it('that is not live in time is ended, and that is no success', () => {
    const scene = new Scene({ startTimeoutMs: 7000 });
    scene.clock.advance(6999);
    expect(scene.last.kills).toEqual([]);
    scene.clock.advance(1);
    expect(scene.last.kills).toEqual(['SIGTERM']);
    expect(scene.lines).toContain('error: epoch 0 (pid 1000): it is not live after 7 s; ending it');
    scene.last.end(0);
    expect(scene.exits).toEqual([1]);
  });

  it('may take as long as it likes when the time is 0', () => {
    const scene = new Scene({ startTimeoutMs: 0 });
    scene.clock.advance(10_000_000);
    expect(scene.last.kills).toEqual([]);
  });

  it('that cannot be started ends the supervisor', () => {
    let wasStarted = false;
    const scene = new Scene({
      spawn: () => {
        wasStarted = true;
        throw new Error('no memory');
      },
    });
    expect(wasStarted).toBe(true);
    expect(scene.exits).toEqual([1]);
    expect(scene.lines).toEqual([
      'error: epoch 0 has ended before it was live: it cannot be started: no memory',
    ]);
  });

  it('of another protocol is refused with a text', async () => {
    const scene = new Scene();
    scene.last.say({ kind: 'hello', protocol: 2, epoch: 0, pid: 1000 });
    scene.last.say(wants(1, 80));
    scene.last.say({ kind: 'live' });
    await scene.settle();
    expect(scene.last.kills).toEqual(['SIGTERM']);
    expect(scene.last.messages).toEqual([]);
    expect(scene.notices).toEqual([]);
    expect(scene.lines[1]).toBe(
      'error: epoch 0 (pid 1000): it speaks version 2 of the protocol, this supervisor version 1: ' +
        'stop the supervisor and start it anew to change its own version; ending it',
    );
  });

  it.each([[{ kind: 'unknown' }], ['text'], [null], [{ cmd: 'other' }], [7]])(
    'may use the channel for something else: %j',
    (message) => {
      const scene = new Scene();
      scene.last.hello();
      scene.last.emit('message', message);
      scene.last.say({ kind: 'live' });
      expect(scene.notices[0]).toBe('ready: epoch 0 is live');
    },
  );
});

describe('SIGHUP', () => {
  it('starts the next epoch; when it is live the old one drains', () => {
    const { scene, old, next } = Scene.restarting();
    expect(next.epoch).toBe(1);
    expect(old.told).toEqual([]);
    next.say({ kind: 'live' });
    expect(old.told).toEqual(['drain']);
    expect(scene.notices).toEqual([
      'ready: epoch 0 is live',
      'watchdog',
      'reloading',
      'ready: epoch 1 is live',
    ]);
    old.end(0);
    expect(scene.exits).toEqual([]);
    expect(scene.clock.pendingTimers).toBe(0);
  });

  it('ends an old epoch that does not end: terminate, then SIGKILL', () => {
    const { scene, old, next } = Scene.restarting({ parentShutdownMs: 30_000, killDelayMs: 5000 });
    next.say({ kind: 'live' });
    scene.clock.advance(29_999);
    expect(old.told).toEqual(['drain']);
    scene.clock.advance(1);
    expect(old.told).toEqual(['drain', 'terminate']);
    scene.clock.advance(4999);
    expect(old.kills).toEqual([]);
    scene.clock.advance(1);
    expect(old.kills).toEqual(['SIGKILL']);
    old.end(null, 'SIGKILL');
    expect(scene.exits).toEqual([]);
  });

  it('uses SIGTERM where the old epoch has closed its channel', () => {
    const { scene, old, next } = Scene.restarting({ parentShutdownMs: 30_000 });
    old.connected = false;
    next.say({ kind: 'live' });
    scene.clock.advance(30_000);
    expect(old.kills).toEqual(['SIGTERM']);
  });

  it('that comes while one is starting is done once, afterwards', () => {
    const { scene, next } = Scene.restarting();
    scene.signal('SIGHUP');
    scene.signal('SIGHUP');
    expect(scene.children).toHaveLength(2);
    next.say({ kind: 'live' });
    expect(scene.children.map(({ epoch }) => epoch)).toEqual([0, 1, 2]);
    scene.last.live();
    expect(scene.children).toHaveLength(3);
    expect(next.told).toEqual(['drain']);
  });

  it('that comes while epoch 0 is starting is done afterwards', () => {
    const scene = new Scene();
    scene.signal('SIGHUP');
    expect(scene.children).toHaveLength(1);
    scene.last.live();
    expect(scene.children).toHaveLength(2);
    expect(scene.notices).toEqual(['ready: epoch 0 is live', 'reloading', 'watchdog']);
  });

  it('leaves only so many old epochs draining', () => {
    const scene = new Scene({ maxDraining: 2 });
    scene.last.live();
    for (let i = 0; i < 3; i++) {
      scene.signal('SIGHUP');
      scene.last.live();
    }
    expect(scene.children.map(({ told }) => told)).toEqual([
      ['drain', 'terminate'],
      ['drain'],
      ['drain'],
      [],
    ]);
    scene.signal('SIGHUP');
    scene.last.live();
    expect(scene.children.map(({ told }) => told.length)).toEqual([2, 2, 1, 1, 0]);
    scene.clock.advance(10_000);
    expect(scene.children.map(({ kills }) => kills.length)).toEqual([1, 1, 0, 0, 0]);
  });
});

describe('a new epoch that fails', () => {
  it.each([
    ['an exit code', 7, null, 'it exited with code 7'],
    ['code 0', 0, null, 'it exited with code 0'],
    ['a signal', null, 'SIGABRT', 'it was ended by SIGABRT'],
  ] as const)('with %s leaves the old one serving', (_, code, signal, why) => {
    const { scene, old, next } = Scene.restarting();
    next.end(code, signal);
    expect(old.told).toEqual(['resume']);
    expect(scene.exits).toEqual([]);
    expect(scene.lines.at(-1)).toBe(
      `error: epoch 1 (pid 1001) has failed before it was live: ${why}; epoch 0 (pid 1000) serves on`,
    );
    expect(scene.notices.slice(-2)).toEqual(['reloading', 'ready: epoch 0 is live; a restart has failed']);
    expect(scene.clock.pendingTimers).toBe(0);
    // The number is the parent's and one more, again.
    scene.signal('SIGHUP');
    expect(scene.last).not.toBe(next);
    expect(scene.last.epoch).toBe(1);
  });

  it('because it takes too long is ended first; only then the old one resumes', () => {
    const { scene, old, next } = Scene.restarting();
    scene.clock.advance(60_000);
    expect(next.kills).toEqual(['SIGTERM']);
    // Too late.
    next.say({ kind: 'live' });
    expect(old.told).toEqual([]);
    scene.clock.advance(10_000);
    expect(next.kills).toEqual(['SIGTERM', 'SIGKILL']);
    expect(old.told).toEqual([]);
    next.end(null, 'SIGKILL');
    expect(old.told).toEqual(['resume']);
  });

  it('because it has exited by the time that its word of being live is read', () => {
    const { scene, old, next } = Scene.restarting();
    next.emit('exit', 1, null);
    next.say({ kind: 'live' });
    expect(old.told).toEqual([]);
    scene.clock.advance(1000);
    expect(old.told).toEqual(['resume']);
    expect(scene.exits).toEqual([]);
  });

  it('because there is no process for it', () => {
    const scene = new Scene();
    const old = scene.last;
    old.live();
    scene.nextSpawn = () => {
      throw new Error('spawn EAGAIN');
    };
    scene.signal('SIGHUP');
    expect(old.told).toEqual(['resume']);
    scene.nextSpawn = (epoch) => new NoProcess(epoch);
    scene.signal('SIGHUP');
    scene.last.emit('error', new Error('spawn node ENOENT'));
    expect(old.told).toEqual(['resume', 'resume']);
    expect(scene.lines).toContain('error: epoch 1 (pid none): spawn node ENOENT');
    expect(scene.exits).toEqual([]);
  });

  it('is followed by the restart that was asked for meanwhile', () => {
    const { scene, old, next } = Scene.restarting();
    scene.signal('SIGHUP');
    next.end(1);
    expect(scene.children).toHaveLength(3);
    expect(old.told).toEqual(['resume']);
  });
});

describe('the live epoch', () => {
  it.each([
    ['an exit code', 9, null, 9],
    ['a signal', null, 'SIGKILL', 137],
  ] as const)(
    'that dies with %s takes the others and the supervisor with it',
    (_, code, signal, expected) => {
      const { scene, old, next } = Scene.restarting();
      next.say({ kind: 'live' });
      next.end(code, signal);
      expect(scene.healthy()).toBe(false);
      expect(old.told).toEqual(['drain', 'terminate']);
      expect(scene.exits).toEqual([]);
      scene.clock.advance(10_000);
      expect(old.kills).toEqual(['SIGKILL']);
      old.end(null, 'SIGKILL');
      expect(scene.exits).toEqual([expected]);
      expect(scene.children).toHaveLength(2);
    },
  );

  it('that dies while the next one starts is waited for by nobody but that one', () => {
    const { scene, old, next } = Scene.restarting();
    old.end(null, 'SIGSEGV');
    expect([scene.exits, next.kills, scene.healthy()]).toEqual([[], [], false]);
    next.say({ kind: 'live' });
    expect(scene.healthy()).toBe(true);
    scene.signal('SIGTERM');
    next.end(0);
    expect(scene.exits).toEqual([0]);
  });

  it('that dies while the next one starts, which then fails: the first code counts', () => {
    const { scene, old, next } = Scene.restarting();
    old.end(null, 'SIGKILL');
    next.end(1);
    expect(scene.exits).toEqual([137]);
  });

  it('is healthy when it has answered since it was asked last', () => {
    const scene = new Scene();
    scene.last.live();
    expect(scene.healthy()).toBe(true);
    expect(scene.last.told).toEqual(['ping']);
    expect(scene.healthy()).toBe(false);
    scene.last.say({ kind: 'pong' });
    expect(scene.healthy()).toBe(true);
  });

  it('may end by itself, which is no error', () => {
    const scene = new Scene();
    scene.last.live();
    scene.last.say({ kind: 'exiting' });
    scene.last.end(0);
    expect(scene.exits).toEqual([0]);
    expect(scene.lines.at(-1)).toBe('info: epoch 0 (pid 1000) exited with code 0: ending');
  });
});

describe('the end of an epoch', () => {
  it('waits for its last messages', () => {
    const { old, next } = Scene.restarting();
    next.say({ kind: 'live' });
    old.emit('exit', 0, null);
    expect(next.messages).toEqual([]);
    old.say({ kind: 'final-stats', stats: 'late' });
    old.emit('disconnect');
    expect(next.messages).toEqual([{ kind: 'parent-gone', stats: 'late', another: false }]);
  });

  it('does not wait for ever', () => {
    const { scene, old, next } = Scene.restarting();
    next.say({ kind: 'live' });
    old.emit('exit', 0, null);
    scene.clock.advance(1000);
    old.emit('disconnect');
    expect(next.told).toEqual(['parent-gone']);
    expect(scene.clock.pendingTimers).toBe(0);
  });
});

describe('signals', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)(
    'every epoch is told of %s, each time; the code is the current one’s',
    (name) => {
      const { scene, old, next } = Scene.restarting();
      next.say({ kind: 'live' });
      scene.signal(name);
      scene.signal(name);
      const told = { kind: 'signal', signal: name };
      expect(old.messages.slice(-2)).toEqual([told, told]);
      expect(next.messages.slice(-2)).toEqual([told, told]);
      // Sent, it would be one more for who has it from a terminal.
      expect([...old.kills, ...next.kills]).toEqual([]);
      expect(scene.notices.filter((notice) => notice === 'stopping')).toHaveLength(1);
      scene.signal('SIGHUP');
      expect(scene.children).toHaveLength(2);
      next.end(4);
      expect(scene.exits).toEqual([]);
      old.end(0);
      expect(scene.exits).toEqual([4]);
      expect(scene.clock.pendingTimers).toBe(0);
    },
  );

  it('are sent to an epoch that cannot be told', () => {
    const { scene, old, next } = Scene.restarting();
    next.say({ kind: 'live' });
    old.connected = false;
    scene.signal('SIGINT');
    expect([old.kills, next.kills]).toEqual([['SIGINT'], []]);
    const early = new Scene();
    early.signal('SIGTERM');
    expect(early.last.kills).toEqual(['SIGTERM']);
  });

  it('SIGTERM while epoch 0 is starting', () => {
    const scene = new Scene();
    scene.signal('SIGTERM');
    scene.last.end(null, 'SIGTERM');
    expect(scene.exits).toEqual([143]);
  });

  it('SIGTERM while the next epoch is starting: it does not take over any more', () => {
    const { scene, old, next } = Scene.restarting();
    scene.signal('SIGTERM');
    next.say({ kind: 'live' });
    next.end(1);
    expect(old.told).toEqual(['signal']);
    old.end(0);
    expect(scene.exits).toEqual([0]);
  });

  it('an epoch that ignores SIGTERM is killed in the end', () => {
    const scene = new Scene({ parentShutdownMs: 30_000, killDelayMs: 5000 });
    scene.last.live();
    scene.signal('SIGTERM');
    scene.clock.advance(34_999);
    expect(scene.last.kills).toEqual([]);
    scene.clock.advance(1);
    expect(scene.last.kills).toEqual(['SIGKILL']);
  });

  it('SIGUSR1 goes to every epoch that can have a log', () => {
    const { scene, old, next } = Scene.restarting();
    next.say({ kind: 'live' });
    scene.signal('SIGHUP');
    scene.signal('SIGUSR1');
    expect([old.kills, next.kills, scene.last.kills]).toEqual([['SIGUSR1'], ['SIGUSR1'], []]);
  });
});

describe('sockets', () => {
  it('go from epoch to epoch, and are closed when nobody has them', async () => {
    const { scene, old, next } = Scene.restarting();
    old.say(wants(1, 80, 2));
    await scene.settle();
    next.say(wants(1, 80, 2));
    await scene.settle();
    expect(next.sockets).toEqual(old.sockets);
    expect(next.messages).toEqual([0, 1].map((index) => ({ ...socketMessage(80), index, of: 2 })));
    next.say({ kind: 'live' });
    old.say({ kind: 'release', key: 'tcp:80' });
    expect(scene.binder.open).toEqual(['127.0.0.1:80+', '127.0.0.1:80+']);
    next.say({ kind: 'release', key: 'tcp:80' });
    expect(scene.binder.open).toEqual([]);
  });

  it('that only the old epoch had are closed with it, those of a failed one too', async () => {
    const { scene, old, next } = Scene.restarting();
    old.say(wants(1, 80));
    next.say(wants(1, 81));
    await scene.settle();
    next.end(1);
    expect(scene.binder.open).toEqual(['127.0.0.1:80+']);
    scene.signal('SIGHUP');
    scene.last.hello();
    scene.last.say(wants(1, 82));
    await scene.settle();
    scene.last.say({ kind: 'live' });
    old.end(0);
    expect(scene.binder.open).toEqual(['127.0.0.1:82+']);
  });

  it('that cannot be had are an answer with the system’s code', async () => {
    const scene = new Scene();
    scene.binder.taken.add('127.0.0.1:80');
    scene.last.hello();
    scene.last.say(wants(5, 80));
    await scene.settle();
    const message = 'cannot bind 127.0.0.1:80: address already in use (EADDRINUSE)';
    expect(scene.last.messages).toEqual([{ kind: 'sockets-failed', id: 5, code: 'EADDRINUSE', message }]);
    expect(scene.binder.open).toEqual([]);
  });

  it('are all closed when the supervisor exits', async () => {
    const scene = new Scene();
    scene.last.live();
    scene.last.say(wants(1, 80));
    await scene.settle();
    scene.signal('SIGTERM');
    expect(scene.binder.open).toEqual(['127.0.0.1:80+']);
    scene.last.end(0);
    expect(scene.binder.open).toEqual([]);
  });
});

function socketMessage(port: number) {
  return { kind: 'socket', id: 1, address: { family: 'ipv4', ip: '127.0.0.1', port, ipv6Only: false } };
}

class NoProcess extends FakeChild {
  override readonly pid = undefined;
}
