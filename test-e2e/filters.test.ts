import type { HttpFilter, HttpStream } from '@dragoman/core';
import { eventually, Gate, HttpUpstream, hang, reset, text } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { scripted, scriptedFilter } from './support/extensions.ts';
import { type ProxySetup, type TestProxy, withProxy } from './support/proxy.ts';

const withFilter = (
  create: (stream: HttpStream) => HttpFilter,
  setup: ProxySetup,
  body: (proxy: TestProxy) => Promise<void>,
): Promise<void> => withProxy({ filters: [scripted], extensions: [scriptedFilter(create)], ...setup }, body);

const boom = (): never => {
  throw new Error('boom in a hook');
};

describe('a filter that throws', () => {
  it.each<[hook: string, filter: () => HttpFilter]>([
    ['onRequestHeaders', () => ({ onRequestHeaders: boom })],
    ['onRequestBody', () => ({ onRequestBody: boom })],
    ['onResponseHeaders', () => ({ onResponseHeaders: boom })],
    ['onRequestHeaders (rejected promise)', () => ({ onRequestHeaders: async () => boom() })],
    ['onRequestBody (rejected promise)', () => ({ onRequestBody: async () => boom() })],
    ['onResponseHeaders (rejected promise)', () => ({ onResponseHeaders: async () => boom() })],
    ['its constructor', boom],
  ])('in %s: 500, the log names it, the next request is served', async (_, create) => {
    await using upstream = await HttpUpstream.start(text('fine'));
    let broken = true;
    await withFilter(
      () => (broken ? create() : {}),
      { upstream },
      async (proxy) => {
        const response = await proxy.send('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello');
        expect(response.status).toBe(500);
        expect(response.body.toString()).not.toContain('boom');
        expect((await proxy.log())[0]).toMatchObject({ status: 500 });
        const complaint = proxy.loggers.lines.find((line) => line.includes('test.scripted'));
        expect(complaint).toContain('boom in a hook');
        broken = false;
        expect((await proxy.get()).body.toString()).toBe('fine');
      },
    );
  });

  it.each<[hook: string, filter: HttpFilter]>([
    ['onResponseBody', { onResponseBody: boom }],
    ['onResponseBody (rejected promise)', { onResponseBody: async () => boom() }],
  ])('in %s, the headers being out: the stream is reset, nothing else', async (_, filter) => {
    await using upstream = await HttpUpstream.start(text('fine'));
    let broken = true;
    await withFilter(
      () => (broken ? filter : {}),
      { upstream },
      async (proxy) => {
        await using client = await proxy.connect();
        await client.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
        expect(await client.readUntilClose()).not.toContain('fine');
        expect(proxy.loggers.lines.some((line) => line.includes('test.scripted'))).toBe(true);
        broken = false;
        expect((await proxy.get()).body.toString()).toBe('fine');
      },
    );
  });

  it('in onComplete: the response is out already, the proxy goes on', async () => {
    await using upstream = await HttpUpstream.start(text('fine'));
    await withFilter(
      () => ({ onComplete: boom }),
      { upstream },
      async (proxy) => {
        for (let i = 0; i < 3; i++) expect((await proxy.get()).body.toString()).toBe('fine');
        expect(proxy.loggers.lines.filter((line) => line.includes('test.scripted'))).toHaveLength(3);
      },
    );
  });
});

describe('late callbacks', () => {
  /** A filter that asks somebody outside, as an authorisation filter does, and is answered when the gate opens. */
  const asking =
    (gate: Gate, late: (stream: HttpStream) => void, answered: string[]) =>
    (stream: HttpStream): HttpFilter => ({
      onRequestHeaders() {
        void gate.pass().then(() => {
          late(stream);
          answered.push(stream.requestHeaders.path);
        });
        return 'pause';
      },
    });

  it.each<[name: string, late: (stream: HttpStream) => void]>([
    ['resume', (stream) => stream.resumeRequest()],
    ['reply', (stream) => stream.reply({ status: 403, body: 'late', details: 'late' })],
    ['reset', (stream) => stream.reset('local-reset')],
    [
      'everything',
      (stream) => {
        stream.reply({ status: 403, details: 'late' });
        stream.resumeRequest();
        stream.resumeResponse();
        stream.reset('local-reset');
        stream.requestHeaders.set('x-late', '1');
        stream.clearRouteCache();
        void stream.route;
      },
    ],
  ])('%s after the client has gone does nothing', async (_, late) => {
    const gate = new Gate();
    const answered: string[] = [];
    await using upstream = await HttpUpstream.start(text('fine'));
    await withFilter(asking(gate, late, answered), { upstream }, async (proxy) => {
      await using client = await proxy.connect();
      await client.write('GET /left HTTP/1.1\r\nhost: a\r\n\r\n');
      await gate.reached();
      client.reset();
      await proxy.expectIdle();
      gate.open();
      await eventually(() => answered.length === 1);
      expect(upstream.requests).toHaveLength(0);
      expect(await proxy.log()).toMatchObject([{ path: '/left', status: 0, flags: 'DC' }]);
    });
  });

  it('a promise that settles after the stream timed out does nothing', async () => {
    const gate = new Gate();
    let settled = 0;
    await using upstream = await HttpUpstream.start(text('fine'));
    const create = (): HttpFilter => ({
      async onRequestHeaders() {
        await gate.pass();
        settled++;
        boom();
      },
    });
    await withFilter(create, { upstream, manager: { stream_idle_timeout: '0.03s' } }, async (proxy) => {
      expect((await proxy.get('/late')).status).toBe(504);
      gate.open();
      await eventually(() => settled === 1);
      expect(upstream.requests).toHaveLength(0);
      expect(await proxy.log()).toHaveLength(1);
    });
  });
});

describe('what a filter collects', () => {
  const collector = (): HttpFilter => ({
    onRequestHeaders: () => 'collect',
    onRequestBody: (_, endStream) => (endStream ? undefined : 'collect'),
  });

  it('above the buffer limit is 413', async () => {
    await using upstream = await HttpUpstream.start(text('fine'));
    const listener = { per_connection_buffer_limit_bytes: 32_768 };
    await withFilter(collector, { upstream, listener }, async (proxy) => {
      const post = (size: number) =>
        proxy.send(`POST / HTTP/1.1\r\nhost: a\r\ncontent-length: ${size}\r\n\r\n`, Buffer.alloc(size, 'c'));
      expect((await post(30_000)).status).toBe(200);
      expect((await post(70_000)).status).toBe(413);
      expect(upstream.requests).toHaveLength(1);
      expect(proxy.stat('http.test.downstream_rq_too_large')).toBe(1);
    });
  });

  it('of a response above the limit is 500', async () => {
    await using upstream = await HttpUpstream.start(text('r'.repeat(200_000)));
    const listener = { per_connection_buffer_limit_bytes: 32_768 };
    const create = (): HttpFilter => ({
      onResponseHeaders: () => 'collect',
      onResponseBody: (_, endStream) => (endStream ? undefined : 'collect'),
    });
    await withFilter(create, { upstream, listener }, async (proxy) => {
      expect((await proxy.get()).status).toBe(500);
      expect(proxy.stat('http.test.rs_too_large')).toBe(1);
    });
  });
});

describe('what is left of a request', () => {
  it('nothing: streams are collected, whatever became of them', async () => {
    const { setFlagsFromString } = await import('node:v8');
    const { runInNewContext } = await import('node:vm');
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const streams: WeakRef<HttpStream>[] = [];
    const create = (stream: HttpStream): HttpFilter => {
      streams.push(new WeakRef(stream));
      return {};
    };
    await using upstream = await HttpUpstream.start(text('fine'));
    await withFilter(create, { upstream }, async (proxy) => {
      for (const [answer, waits] of [
        [text('fine'), true],
        [reset(), true],
        [hang(), false],
        [text('late'), false],
      ] as const) {
        upstream.answer = answer;
        for (let i = 0; i < 10; i++) {
          await using client = await proxy.connect();
          const seen = streams.length;
          await client.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
          if (waits) await client.readResponse();
          await eventually(() => streams.length > seen);
          client.reset();
        }
      }
      await proxy.expectIdle();
      expect(streams).toHaveLength(40);
    });
    await eventually(() => {
      collect();
      const alive = streams.filter((stream) => stream.deref() !== undefined).length;
      if (alive > 0) throw new Error(`${alive} streams are still alive`);
    });
  });
});
