import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { SeededRandom, within } from '@dragoman/testing';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { prefixRoute } from './support/config.ts';
import { type Peer, withProxy } from './support/proxy.ts';

const SEEDS = [1, 2, 3];
const SESSIONS = 1500;
const AT_ONCE = 24;

const HOST = 'Host: a.example\r\n';
const REQUESTS = [
  `GET / HTTP/1.1\r\n${HOST}\r\n`,
  `HEAD /x?y=z HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`,
  `POST / HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\nhello`,
  `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3;a=b\r\nabc\r\n0\r\n\r\n`,
  `PUT / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\nTrailer: X\r\n\r\n1\r\na\r\n0\r\nX: y\r\n\r\n`,
  `POST / HTTP/1.1\r\n${HOST}Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc`,
  `GET http://a.example/absolute HTTP/1.1\r\n${HOST}\r\n`,
  'OPTIONS * HTTP/1.1\r\nHost: a.example\r\n\r\n',
  'CONNECT a.example:80 HTTP/1.1\r\nHost: a.example:80\r\n\r\nraw',
  `GET /ws HTTP/1.1\r\n${HOST}Connection: upgrade\r\nUpgrade: websocket\r\n\r\n`,
  `GET /ws HTTP/1.1\r\n${HOST}Connection: upgrade\r\nUpgrade: websocket\r\n\r\nraw`,
  `POST /tunnel HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\nhello`,
  `GET /%2e%2e/..;/%zz HTTP/1.1\r\n${HOST}X-Forwarded-For: 1.2.3.4, x, ::1\r\nCookie: a=b; c\r\n\r\n`,
  `GET / HTTP/1.1\r\n${HOST}X-Envoy-Upstream-Rq-Timeout-Ms: 1e9\r\nConnection: x-a, x-b\r\nX-A: 1\r\n\r\n`,
];
const RESPONSES = [
  'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n',
  'HTTP/1.1 204 No Content\r\n\r\n',
  'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\n\r\n',
  'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
  'HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 500 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n',
  'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nraw',
  'HTTP/1.1 302 Found\r\nLocation: http://a.example/x\r\nContent-Length: 0\r\n\r\n',
  'HTTP/1.0 200 OK\r\n\r\nuntil the end',
];
const TOKENS = [
  '\r', '\n', '\r\n', '\r\n\r\n', '\0', ':', ' ', '\t', ',', ';', '%', '#', '\x7f', '\xff', '/../', '//', 'HTTP/1.1',
  'Content-Length: 5\r\n', 'Transfer-Encoding: chunked\r\n', 'Connection: close\r\n', '0\r\n\r\n', 'ffffffff\r\n', '-1',
  'A: '.padEnd(5000, 'a'), 'X: y\r\n'.repeat(120),
]; // biome-ignore format: a table

const TUNNEL = [{ upgrade_type: 'CONNECT', connect_config: { allow_post: true } }];
const TENTH = { default_value: { numerator: 10 } };

class Mutator {
  private readonly random: SeededRandom;

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
  }

  below(limit: number): number {
    return Math.floor(this.random.random() * limit);
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)];
  }

  /** Some are left as they are: behind them, the next one is reached. */
  mutate(text: string): string {
    let out = text;
    for (let rounds = this.below(2) * (1 + this.below(3)); rounds > 0; rounds--) {
      const at = this.below(out.length + 1);
      const length = 1 + this.below(8);
      switch (this.below(6)) {
        case 0:
          out = out.slice(0, at) + this.pick(TOKENS) + out.slice(at);
          break;
        case 1:
          out = out.slice(0, at) + out.slice(at + length);
          break;
        case 2:
          out = out.slice(0, at) + String.fromCharCode(this.below(256)) + out.slice(at + 1);
          break;
        case 3:
          out = out.slice(0, at) + out.slice(at, at + 30) + out.slice(at);
          break;
        case 4:
          out = out.slice(0, at);
          break;
        default:
          out = out.slice(0, at) + this.pick(REQUESTS).slice(this.below(40)) + out.slice(at);
      }
    }
    return out;
  }

  /** Cuts into up to four pieces. */
  cut(text: string): Buffer[] {
    const bytes = Buffer.from(text, 'latin1');
    const marks = Array.from({ length: this.below(4) }, () => this.below(bytes.length + 1)).sort(
      (a, b) => a - b,
    );
    return [...marks, bytes.length].map((mark, i) => bytes.subarray(marks[i - 1] ?? 0, mark));
  }
}

/** An upstream that answers anything to anything, or, once told, correctly. */
async function fuzzingUpstream(mutator: Mutator): Promise<Peer & { behave(): void }> {
  let behaves = false;
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
    if (!behaves && mutator.below(20) === 0) socket.write(mutator.mutate(mutator.pick(RESPONSES)), 'latin1');
    socket.on('data', () => {
      if (behaves) {
        socket.write(RESPONSES[0]);
        return;
      }
      const action = mutator.below(12);
      if (action === 0) socket.resetAndDestroy();
      else if (action === 1) socket.end();
      else if (action === 2) return;
      else for (const piece of mutator.cut(mutator.mutate(mutator.pick(RESPONSES)))) socket.write(piece);
      if (action === 3) socket.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    behave() {
      behaves = true;
      for (const socket of sockets) socket.destroy();
    },
    stop: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** One connection with a few mutated requests, which ends in one of the ways that connections end. */
async function session(port: number, mutator: Mutator): Promise<void> {
  const socket = connect({ port, host: '127.0.0.1' });
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.on('error', () => {});
  socket.resume();
  const requests = Array.from({ length: 1 + mutator.below(3) }, () => mutator.mutate(mutator.pick(REQUESTS)));
  for (const piece of mutator.cut(requests.join(''))) {
    socket.write(piece);
    await new Promise((resolve) => setImmediate(resolve));
  }
  const ending = mutator.below(10);
  if (ending === 0) socket.resetAndDestroy();
  else if (ending === 1) socket.destroy();
  else socket.end();
  await within(closed, `the end of ${JSON.stringify(requests)}`, 10_000);
}

const faults: unknown[] = [];
const record = (fault: unknown): void => {
  faults.push(fault);
};

beforeEach(() => {
  faults.length = 0;
  process.on('unhandledRejection', record);
  process.on('uncaughtExceptionMonitor', record);
});

afterEach(() => {
  process.off('unhandledRejection', record);
  process.off('uncaughtExceptionMonitor', record);
});

it.each(SEEDS)(
  'seed %i: garbage on both sides breaks nothing',
  async (seed) => {
    const mutator = new Mutator(seed);
    const upstream = await fuzzingUpstream(mutator);
    const setup = {
      upstream,
      routes: [
        { match: { connect_matcher: {} }, route: { cluster: 'upstream' } },
        prefixRoute('/tunnel', 'upstream', { timeout: '0.2s', upgrade_configs: TUNNEL }),
        prefixRoute('/', 'upstream', {
          timeout: '0.2s',
          internal_redirect_policy: {},
          request_mirror_policies: [{ cluster: 'upstream', runtime_fraction: TENTH }],
        }),
      ],
      manager: {
        normalize_path: true,
        merge_slashes: true,
        upgrade_configs: [{ upgrade_type: 'websocket' }, { upgrade_type: 'CONNECT' }],
        use_remote_address: true,
        stream_idle_timeout: '0.4s',
        http_protocol_options: { accept_http_10: true, enable_trailers: true },
      },
    };
    await withProxy(setup, async (proxy) => {
      let left = SESSIONS;
      const worker = async (): Promise<void> => {
        while (left-- > 0) await session(proxy.port, mutator);
      };
      await Promise.all(Array.from({ length: AT_ONCE }, worker));
      await proxy.expectIdle();
      upstream.behave();
      for (let i = 0; i < 20; i++) expect((await proxy.get()).status).toBe(200);
      await proxy.expectIdle();

      expect(faults).toEqual([]);
      expect(proxy.loggers.lines.filter((line) => /^\w+ (error|critical):/.test(line))).toEqual([]);
      const requests = proxy.stat('http.test.downstream_rq_total');
      expect(requests).toBeGreaterThan(SESSIONS / 2);
      // One line for each request, whatever it was, and each a whole one.
      for (const line of await proxy.log(requests)) expect(line.flags).toMatch(/^[A-Z,-]+$/);
      expect(proxy.stat('http.test.downstream_rq_2xx')).toBeGreaterThan(SESSIONS / 20);
      expect(proxy.stat('http.test.downstream_rq_4xx')).toBeGreaterThan(SESSIONS / 20);
      expect(proxy.stat('http.test.downstream_rq_5xx')).toBeGreaterThan(SESSIONS / 40);
    });
  },
  40_000,
);
