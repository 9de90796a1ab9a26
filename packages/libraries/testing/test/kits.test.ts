import { EmptySchema } from '@bufbuild/protobuf/wkt';
import {
  type AccessLogger,
  ConfigError,
  defineAccessLogger,
  defineHttpFilter,
  defineListenerFilter,
  defineLoadBalancer,
  defineNetworkFilter,
  type HttpFilter,
  type HttpStream,
  type ListenerFilter,
  type NetworkFilter,
} from '@dragoman/core';
import { describe, expect, it } from 'vitest';
import {
  accessLoggerConformance,
  type ConformanceRunner,
  httpFilterConformance,
  listenerFilterConformance,
  loadBalancerConformance,
  networkFilterConformance,
  plainFormatters,
  testContext,
} from '../src/index.ts';

/** Runs a kit and says which of its tests failed. */
async function failures(register: (runner: ConformanceRunner) => void): Promise<string[]> {
  const tests: [string, () => void | Promise<void>][] = [];
  register({ describe: (_, body) => body(), it: (name, body) => tests.push([name, body]) });
  expect(tests.length).toBeGreaterThan(3);
  const failed: string[] = [];
  for (const [name, body] of tests) {
    try {
      await body();
    } catch {
      failed.push(name);
    }
  }
  return failed;
}

const config = {};

describe('httpFilterConformance', () => {
  const check = (create: (stream: HttpStream) => HttpFilter, more: object = {}) =>
    failures((runner) =>
      httpFilterConformance(runner, {
        extension: defineHttpFilter({
          name: 'test.filters.http.subject',
          config: EmptySchema,
          create: () => create,
        }),
        config,
        ...more,
      }),
    );

  it('lets filters pass that keep the contract', async () => {
    expect(await check(() => ({}))).toEqual([]);
    expect(
      await check((stream) => ({
        onRequestHeaders: () => {
          stream.requestHeaders.set('x-seen', '1');
          Promise.resolve().then(() => stream.resumeRequest());
          return 'pause';
        },
        onRequestBody: () => 'collect',
        onResponseHeaders: async () => {},
        onResponseBody: (chunk) => Buffer.from(chunk.toString('latin1').toUpperCase(), 'latin1'),
      })),
    ).toEqual([]);
    expect(
      await check((stream) => ({ onRequestHeaders: () => stream.reply({ status: 403, details: 'denied' }) })),
    ).toEqual([]);
  });

  it('finds late calls, timers that stay and replies made twice', async () => {
    const late = await check((stream) => ({
      onComplete: () => queueMicrotask(() => stream.resumeRequest()),
    }));
    expect(late).toContain('lets go when the stream ends before onRequestHeaders');
    const context = testContext();
    const withTimer = (): HttpFilter => {
      const timer = context.clock.timer(() => {});
      return { onRequestHeaders: () => timer.enable(2 ** 40) };
    };
    expect(await check(withTimer, { context: () => context })).toContain('takes HEAD');
    const twice = await check((stream) => ({
      onRequestHeaders: () => {
        stream.reply({ status: 403, details: 'a' });
        stream.reply({ status: 403, details: 'b' });
      },
    }));
    expect(twice).toContain('takes bodies and trailers');
  });

  it('finds bad replies, bad verdicts, throwing hooks and shared state', async () => {
    const all = ['takes bodies', 'throws on no odd input'];
    expect(
      await check((stream) => ({ onRequestHeaders: () => stream.reply({ status: 100, details: '' }) })),
    ).toEqual(expect.arrayContaining(all));
    expect(await check(() => ({ onRequestHeaders: () => 'stop' as never }))).toEqual(
      expect.arrayContaining(all),
    );
    expect(
      await check(() => ({ onRequestHeaders: (headers) => void decodeURIComponent(headers.path) })),
    ).toEqual(['throws on no odd input']);
    let count = 0;
    expect(
      await check((stream) => ({
        onRequestHeaders: () => stream.requestHeaders.set('x-count', `${count++}`),
      })),
    ).toContain('keeps streams apart');
  });

  it('asks for a ConfigError at the right path', async () => {
    const refuse = (error: Error) =>
      failures((runner) =>
        httpFilterConformance(runner, {
          extension: defineHttpFilter({
            name: 'test.filters.http.subject',
            config: EmptySchema,
            create: (given) => {
              if ((given as object) === bad) throw error;
              return () => ({});
            },
          }),
          config,
          invalid: [{ name: 'nonsense', config: bad, path: 'field' }],
        }),
      );
    const bad = { bad: true };
    expect(await refuse(ConfigError.at('field', 'is bad'))).toEqual([]);
    expect(await refuse(ConfigError.at('other', 'is bad'))).toEqual(['refuses nonsense with a ConfigError']);
    expect(await refuse(new Error('is bad'))).toEqual(['refuses nonsense with a ConfigError']);
  });
});

describe('networkFilterConformance', () => {
  const check = (create: Parameters<typeof defineNetworkFilter>[0]['create']) =>
    failures((runner) =>
      networkFilterConformance(runner, {
        extension: defineNetworkFilter({
          name: 'test.filters.network.subject',
          config: EmptySchema,
          terminal: true,
          create,
        }),
        config,
      }),
    );

  it('lets a filter pass that keeps the contract', async () => {
    expect(await check(() => () => ({}))).toEqual([]);
  });

  it('finds a filter that does not heed the watermark, or keeps borrowed bytes', async () => {
    expect(
      await check(
        () =>
          ({ connection }): NetworkFilter => ({ onData: (data) => void connection.writeBody(data, false) }),
      ),
    ).toEqual(['stops reading while the peer does not take what it writes']);
    const keeping = await check(() => ({ connection }): NetworkFilter => {
      const kept: Buffer[] = [];
      return {
        onData: (data) => void kept.push(data),
        onEnd: () => {
          for (const data of kept) connection.writeBody(data, false);
          connection.end();
        },
      };
    });
    expect(keeping).toContain('uses borrowed chunks in their time only');
  });

  it('finds state that connections share', async () => {
    let seen = 0;
    const shared = await check(() => ({ connection }) => ({
      onNewConnection: () => {
        connection.writeText(`${seen++}`);
        return undefined;
      },
    }));
    expect(shared).toContain('keeps connections apart');
  });
});

describe('listenerFilterConformance', () => {
  const subject = (create: () => ListenerFilter) =>
    failures((runner) =>
      listenerFilterConformance(runner, {
        extension: defineListenerFilter({
          name: 'test.filters.listener.subject',
          config: EmptySchema,
          create: () => create,
        }),
        config,
        samples: [
          {
            name: 'a greeting',
            bytes: Buffer.from('HELO'),
            verdict: 'continue',
            info: { transportProtocol: 'helo' },
            consumed: 4,
          },
        ],
      }),
    );
  /** Takes `HELO` away; anything else is refused as soon as it is seen. */
  class Helo implements ListenerFilter {
    readonly maxReadBytes = 4;
    consumed = 0;
    onAccept(): 'wait' {
      return 'wait';
    }
    onData(socket: { peeked: Buffer; info: { transportProtocol: string } }): 'continue' | 'wait' | 'close' {
      const text = socket.peeked.toString('latin1').slice(0, 4);
      if (!'HELO'.startsWith(text)) return 'close';
      if (text.length < 4) return 'wait';
      this.consumed = 4;
      socket.info.transportProtocol = 'helo';
      return 'continue';
    }
  }

  it('lets a filter pass that keeps the contract', async () => {
    expect(await subject(() => new Helo())).toEqual([]);
  });

  it('finds a filter that never decides, takes too much, or shares its state', async () => {
    const never: ListenerFilter = { maxReadBytes: 4, onAccept: () => 'wait', onData: () => 'wait' };
    expect(await subject(() => never)).toContain('decides on a greeting, 4 bytes at a time');
    const greedy: ListenerFilter = { maxReadBytes: 4, consumed: 9, onAccept: () => 'continue' };
    expect(await subject(() => greedy)).toContain('decides on any bytes, and alike however they arrive');
    let bytes = 0;
    const shared = (): ListenerFilter => ({
      maxReadBytes: 4,
      onAccept: () => 'wait',
      onData: ({ peeked }) =>
        ++bytes + peeked.length > 6 ? 'close' : peeked.length < 4 ? 'wait' : 'continue',
    });
    expect((await subject(shared)).length).toBeGreaterThan(0);
  });
});

describe('loadBalancerConformance', () => {
  const check = (create: Parameters<typeof defineLoadBalancer>[0]['create'], more: object = {}) =>
    failures((runner) =>
      loadBalancerConformance(runner, {
        extension: defineLoadBalancer({
          name: 'test.load_balancing_policies.subject',
          config: EmptySchema,
          create,
        }),
        config,
        ...more,
      }),
    );

  it('lets policies pass that keep the contract', async () => {
    const spread = await check((_, { random }) => ({
      createPicker: (hosts) => {
        const slots = hosts.flatMap((host) => Array.from({ length: host.weight }, () => host));
        return { pick: () => slots[random.next() % slots.length] };
      },
    }));
    expect(spread).toEqual([]);
    const hash = await check(
      () => ({
        usesHash: true,
        createPicker: (hosts) => ({
          pick: (context, attempt = 0) => hosts[((context?.hash?.low ?? 0) + attempt) % hosts.length],
        }),
      }),
      { kind: 'hash', weighted: false },
    );
    expect(hash).toEqual([]);
  });

  it('finds policies that pick by hash and stay with a host that is to be skipped', async () => {
    const staying = await check(
      () => ({
        usesHash: true,
        createPicker: (hosts) => ({ pick: (context) => hosts[(context?.hash?.low ?? 0) % hosts.length] }),
      }),
      { kind: 'hash', weighted: false },
    );
    expect(staying).toEqual(['comes to another host in an attempt more']);
  });

  it('finds policies that stick to a host, keep removed ones or change their list', async () => {
    expect(await check(() => ({ createPicker: (hosts) => ({ pick: () => hosts[0] }) }))).toContain(
      'comes to every host, and to no other',
    );
    const first: unknown[] = [];
    const keeping = await check(() => ({
      createPicker: (hosts) => {
        first.push(...hosts);
        let next = 0;
        return { pick: () => first[next++ % first.length] as never };
      },
    }));
    expect(keeping).toContain('forgets a host that was removed, and finds one that was added');
    const sorting = await check(() => ({
      createPicker: (hosts) => {
        (hosts as unknown[]).reverse();
        return { pick: () => hosts[0] };
      },
    }));
    expect(sorting).toContain('does not change the list it was given');
  });
});

describe('accessLoggerConformance', () => {
  const check = (log: (write: (entry: string) => void) => AccessLogger['log']) =>
    failures((runner) =>
      accessLoggerConformance(runner, {
        extension: defineAccessLogger({
          name: 'test.access_loggers.subject',
          config: EmptySchema,
          create: (_, context) => {
            const file = context.logFiles.open('/log');
            return { log: log((entry) => file.write(entry)) };
          },
        }),
        config,
        context: () => testContext({ formatters: plainFormatters() }),
      }),
    );

  it('lets a logger pass that keeps the contract', async () => {
    expect(await check((write) => (context) => write(plainFormatters().default.format(context)))).toEqual([]);
  });

  it('finds a logger that leaves entries out, or needs a request', async () => {
    expect(await check(() => () => {})).toContain('writes one entry for each call, of whatever type');
    expect(await check((write) => (context) => write(context.request!.path))).toEqual([
      'takes a stream of which nothing is known',
    ]);
  });
});
