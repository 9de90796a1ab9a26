import { FrameClient, frames } from '@dragoman/testing';
import { describe, expect, it, vi } from 'vitest';
import { FakeRuntime } from './fake-runtime.ts';
import { ManagerRig, type RigOptions } from './manager-rig.ts';

const KEY = 'http.max_requests_per_io_cycle';

function rigWith(limit: number | undefined, options: Omit<RigOptions, 'context'> = {}): ManagerRig {
  const runtime = new FakeRuntime(limit === undefined ? {} : { [KEY]: limit });
  return new ManagerRig({ ...options, context: { runtime } });
}

/** A client of frames, which has said hello. */
async function http2(rig: ManagerRig): Promise<FrameClient> {
  const client = new FrameClient((bytes) => rig.pair.client.writeBody(bytes, false));
  let seen = 0;
  const run = rig.run.bind(rig);
  rig.run = async () => {
    await run();
    client.feed(rig.client.bytes.subarray(seen));
    seen = rig.client.bytes.length;
  };
  client.begin();
  await rig.run();
  await rig.run();
  return client;
}

/** How many requests are with the upstream after each turn of the event loop, until `count` are. */
async function turns(rig: ManagerRig, count: number): Promise<number[]> {
  rig.pair.run();
  const seen = [rig.requests.length];
  for (let i = 0; i < 20 && rig.requests.length < count; i++) {
    await new Promise((resolve) => setImmediate(resolve));
    seen.push(rig.requests.length);
  }
  return seen.filter((now, i) => now !== (seen[i - 1] ?? 0));
}

const paths = (rig: ManagerRig) => rig.requests.map(({ path }) => path);

describe('requests of one connection in one turn of the event loop', () => {
  const five = (client: FrameClient) => {
    for (let i = 0; i < 5; i++) client.request(1 + 2 * i, { ':path': `/${i}` });
  };

  it.each([
    [undefined, [5]],
    [1, [1, 2, 3, 4, 5]],
    [2, [2, 4, 5]],
    [0, [1, 2, 3, 4, 5]],
  ])('with a limit of %s', async (limit, expected) => {
    const rig = rigWith(limit);
    const client = await http2(rig);
    five(client);
    expect(await turns(rig, 5)).toEqual(expected);
    expect(paths(rig)).toEqual(['/0', '/1', '/2', '/3', '/4']);
    await rig.run();
    expect(rig.logged).toEqual(Array.from({ length: 5 }, () => '200 via_upstream -'));
  });

  it('one that waits keeps its body, and no more of it than has come', async () => {
    const rig = rigWith(1);
    const client = await http2(rig);
    client.request(1, { ':path': '/0' });
    client.request(3, { ':path': '/1', ':method': 'POST' }, false);
    client.send(frames.data(3, 'ab'), frames.data(3, 'cd', { endStream: true }));
    await rig.run();
    await rig.run();
    const bodies = rig.upstream.filter((event) => event.startsWith('body:'));
    expect(bodies.join('').replaceAll('body:', '')).toBe('abcd!');
    expect(rig.stat('downstream_rq_active')).toBe(0);
  });

  it('one that is reset while it waits never passes, and is counted', async () => {
    const rig = rigWith(1);
    const client = await http2(rig);
    five(client);
    rig.pair.run();
    for (const id of [3, 5, 7]) client.send(frames.rstStream(id));
    rig.pair.run();
    await rig.run();
    await rig.run();
    expect(paths(rig).length).toBeLessThan(5);
    expect(paths(rig)).toContain('/4');
    expect(rig.stat('downstream_rq_rx_reset')).toBe(3);
    expect(rig.stat('downstream_rq_active')).toBe(0);
  });

  it('those that wait end with their connection', async () => {
    const rig = rigWith(1, { upstream: { headers() {} } });
    const client = await http2(rig);
    five(client);
    rig.pair.run();
    await new Promise((resolve) => setImmediate(resolve));
    rig.pair.client.close('reset');
    await rig.run();
    await rig.run();
    expect(rig.requests.length).toBeLessThan(5);
    expect(rig.stat('downstream_rq_active')).toBe(0);
    expect(rig.stat('downstream_cx_active')).toBe(0);
  });

  it('one that is over before it passes is answered once', async () => {
    const rig = rigWith(1, { manager: { request_timeout: '1s' } });
    const head = 'host: a.test\r\ncontent-length: 4\r\n\r\n';
    rig.pair.client.writeText(`GET /0 HTTP/1.1\r\nhost: a.test\r\n\r\nPOST /1 HTTP/1.1\r\n${head}ab`);
    rig.pair.run();
    rig.clock.advance(1000);
    await rig.run();
    await rig.send('cd');
    expect(rig.responses().map(({ status }) => status)).toEqual([200, 408]);
    expect(paths(rig)).toEqual(['/0']);
    expect(rig.stat('downstream_rq_active')).toBe(0);
  });

  it('holds for HTTP/1.1 that is pipelined', async () => {
    const rig = rigWith(1);
    const request = (i: number) => `GET /${i} HTTP/1.1\r\nhost: a.test\r\n\r\n`;
    rig.pair.client.writeText(request(0) + request(1) + request(2));
    expect(await turns(rig, 3)).toEqual([1, 2, 3]);
    await rig.run();
    expect(rig.responses().map(({ status }) => status)).toEqual([200, 200, 200]);
  });

  it('a body over HTTP/1.1 goes on when its request has passed', async () => {
    const rig = rigWith(1);
    const chunk = 'x'.repeat(5000);
    rig.pair.client.writeText('GET /0 HTTP/1.1\r\nhost: a.test\r\n\r\n');
    rig.pair.client.writeText(`POST /1 HTTP/1.1\r\nhost: a.test\r\ncontent-length: 15000\r\n\r\n${chunk}`);
    rig.pair.run();
    await rig.send(chunk, chunk);
    expect(rig.responses().map(({ status }) => status)).toEqual([200, 200]);
    const bytes = rig.upstream
      .filter((event) => event.startsWith('body:'))
      .join('')
      .replace(/body:|!/g, '');
    expect(bytes.length).toBe(15_000);
    expect(rig.closed).toBe(false);
  });

  it('bytes that are no HTTP end one that waits with 400', async () => {
    const rig = rigWith(1);
    const head = 'host: a.test\r\ntransfer-encoding: chunked\r\n\r\n';
    rig.pair.client.writeText(`GET /0 HTTP/1.1\r\nhost: a.test\r\n\r\nPOST /1 HTTP/1.1\r\n${head}zz\r\n`);
    await rig.run();
    await rig.run();
    expect(rig.responses().map(({ status }) => status)).toEqual([200, 400]);
    expect(paths(rig)).toEqual(['/0']);
    expect(rig.stat('downstream_rq_active')).toBe(0);
  });

  it('one that is answered before its body leaves nothing to the next', async () => {
    const rig = rigWith(1, {
      manager: { stream_idle_timeout: '0s' },
      routes: [
        { match: { path: '/early' }, route: { cluster: 'c', idle_timeout: '1s' } },
        { match: { prefix: '/' }, route: { cluster: 'c' } },
      ],
      upstream: {
        headers: (stream, { path }) => {
          if (path !== '/slow') stream.reply({ status: 200, details: 'early' });
        },
      },
    });
    rig.pair.client.writeText('GET /0 HTTP/1.1\r\nhost: a.test\r\n\r\n');
    rig.pair.client.writeText('POST /early HTTP/1.1\r\nhost: a.test\r\ncontent-length: 4\r\n\r\nab');
    await rig.run();
    await rig.send('cdGET /slow HTTP/1.1\r\nhost: a.test\r\n\r\n');
    await rig.run();
    expect(paths(rig)).toEqual(['/0', '/early', '/slow']);
    rig.clock.advance(2000);
    await rig.run();
    expect(rig.responses().map(({ status }) => status)).toEqual([200, 200]);
    expect(rig.stat('downstream_rq_idle_timeout')).toBe(0);
    expect(rig.stat('downstream_rq_active')).toBe(1);
  });

  it('a reply of the proxy leaves the connection as it is', async () => {
    const rig = rigWith(1, { manager: { stream_error_on_invalid_http_message: true } });
    rig.pair.client.writeText('GET /0 HTTP/1.1\r\nhost: a.test\r\n\r\n');
    rig.pair.client.writeText('POST /1# HTTP/1.1\r\nhost: a.test\r\ncontent-length: 10000\r\n\r\n');
    rig.pair.client.writeText('x'.repeat(10_000));
    await rig.run();
    await rig.request('GET /0 HTTP/1.1');
    expect(rig.responses().map(({ status }) => status)).toEqual([200, 400, 200]);
  });
});

describe('the end of a connection whose peer has said and sent all', () => {
  it.each([
    [{}, 'flush'],
    [{ 'http1.optionally_delay_close': true }, 'flush'],
    [{ 'http1.optionally_delay_close': false }, 'flush-and-wait'],
  ])('with %o', async (values: Readonly<Record<string, boolean>>, mode) => {
    const rig = new ManagerRig({ context: { runtime: new FakeRuntime(values) } });
    const close = vi.spyOn(rig.pair.server, 'close');
    await rig.request('GET / HTTP/1.1', 'connection: close');
    expect(close.mock.calls).toEqual([[mode]]);
  });
});
