import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Address } from '@dragoman/core';
import { formatText, StatsStore } from '@dragoman/stats';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Admin, type AdminLogEntry, type AdminServer, startAdminServer } from '../src/index.ts';
import { FakeState } from './fake-state.ts';

let state: FakeState;
let store: StatsStore;
let server: AdminServer;
let entries: AdminLogEntry[];

async function start(address = Address.ip('127.0.0.1', 0)): Promise<AdminServer> {
  const admin = new Admin(state);
  return startAdminServer({
    address,
    handle: (request) => admin.handle(request),
    stats: store.createThread(),
    onRequest: (entry) => entries.push(entry),
  });
}

beforeEach(async () => {
  state = new FakeState();
  store = new StatsStore();
  entries = [];
  server = await start();
});

afterEach(() => server.close());

function open(): Socket {
  return connect(server.address.port, '127.0.0.1');
}

/** Writes bytes, and gives everything that comes back until the other side closes. */
async function exchange(bytes: string): Promise<string> {
  const socket = open();
  let received = '';
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    received += chunk;
  });
  socket.on('error', () => {});
  socket.write(bytes);
  await once(socket, 'close');
  return received;
}

function ask(method: string, path: string, headers: Record<string, string> = {}, body?: string) {
  return new Promise<{ status: number; headers: Record<string, unknown>; body: string }>(
    (resolve, reject) => {
      const request = httpRequest(
        { host: '127.0.0.1', port: server.address.port, method, path, headers, agent: false },
        (response) => {
          let text = '';
          response.on('data', (chunk) => {
            text += chunk;
          });
          response.on('end', () =>
            resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }),
          );
        },
      );
      request.on('error', reject);
      request.end(body);
    },
  );
}

describe('requests', () => {
  it('are answered', async () => {
    const response = await ask('GET', '/ready');
    expect(response).toMatchObject({ status: 200, body: 'LIVE\n' });
    expect(response.headers).toMatchObject({
      server: 'envoy',
      'content-type': 'text/plain; charset=UTF-8',
      'content-length': '5',
      'x-content-type-options': 'nosniff',
    });
  });

  it('of type HEAD get the same without a body', async () => {
    const response = await ask('HEAD', '/ready');
    expect(response).toMatchObject({ status: 200, body: '' });
    expect(response.headers['content-length']).toBe('5');
  });

  it('may carry a form', async () => {
    const headers = { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' };
    expect((await ask('POST', '/runtime_modify', headers, 'x=5')).status).toBe(200);
    expect(state.runtime.get('x')).toBe('5');
  });

  it('to quit do so when the answer is out', async () => {
    expect((await ask('POST', '/quitquitquit')).body).toBe('OK\n');
    await expect.poll(() => state.done).toEqual(['quit']);
  });

  it('from pages of other sites change nothing', async () => {
    expect((await ask('POST', '/quitquitquit', { 'sec-fetch-site': 'cross-site' })).status).toBe(403);
    expect((await ask('POST', '/healthcheck/ok', { 'sec-fetch-site': 'same-origin' })).status).toBe(200);
    expect(state.done).toEqual([['fail', false]]);
  });

  it('are logged and counted', async () => {
    await ask('GET', '/nowhere');
    await ask('GET', '/ready');
    await expect.poll(() => entries.length).toBe(2);
    expect(entries[1]).toMatchObject({ method: 'GET', path: '/ready', status: 200, responseBytes: 5 });
    expect(entries[1].remoteAddress).toMatch(/^127\.0\.0\.1:\d+$/);
    await expect.poll(() => formatText(store, { filter: /downstream_cx_destroy$/ })).toContain(': 2');
    const counted = formatText(store, { usedOnly: true, type: 'Counters' });
    expect(counted).toContain('http.admin.downstream_rq_total: 2\n');
    expect(counted).toContain('http.admin.downstream_rq_2xx: 1\n');
    expect(counted).toContain('http.admin.downstream_rq_4xx: 1\n');
    expect(counted).toContain('listener.admin.downstream_cx_total: 2\n');
    expect(formatText(store, { type: 'Gauges', usedOnly: true })).toBe(
      'http.admin.downstream_cx_active: 0\nhttp.admin.downstream_cx_http1_active: 0\n' +
        'http.admin.downstream_rq_active: 0\nlistener.admin.downstream_cx_active: 0\n',
    );
    expect(formatText(store)).toContain('http.admin.downstream_rq_rx_reset: 0\n');
  });
});

describe('hostile input', () => {
  it.each([
    ['garbage', '\x00\x01\x02garbage\r\n\r\n'],
    [
      'two lengths',
      'POST /quitquitquit HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nx',
    ],
    [
      'length and chunks',
      'POST /quitquitquit HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    ['no host', 'POST /quitquitquit HTTP/1.1\r\nconnection: close\r\n\r\n'],
    ['a bare line feed in a header', 'POST /quitquitquit HTTP/1.1\r\nhost: a\r\nx: a\nb\r\n\r\n'],
  ])('%s is a 400 and does nothing', async (_name, bytes) => {
    expect(await exchange(bytes)).toMatch(/^HTTP\/1\.1 400 /);
    expect(state.done).toEqual([]);
    expect((await ask('GET', '/ready')).status).toBe(200);
  });

  it('of too many header bytes is refused', async () => {
    expect(await exchange(`GET / HTTP/1.1\r\nhost: a\r\nx: ${'y'.repeat(70_000)}\r\n\r\n`)).toMatch(
      /^HTTP\/1\.1 4/,
    );
  });

  it('of a large body is refused before it is read', async () => {
    const answer = await exchange(
      `POST /runtime_modify HTTP/1.1\r\nhost: a\r\ncontent-length: 999999999\r\n\r\n${'x'.repeat(70_000)}`,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 413 /);
  });

  it('that ends in the middle of a body does nothing', async () => {
    const socket = open();
    socket.write('POST /healthcheck/fail HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc');
    await expect.poll(() => formatText(store, { filter: /admin.downstream_rq_active/ })).toContain(': 1');
    socket.destroy();
    await expect.poll(() => formatText(store, { filter: /admin.downstream_rq_active/ })).toContain(': 0');
    expect(state.done).toEqual([]);
  });

  it('with CONNECT or an upgrade gets no tunnel', async () => {
    expect(await exchange('CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n')).toBe('');
    const answer = await exchange(
      'GET /ready HTTP/1.1\r\nhost: a\r\nconnection: upgrade, close\r\nupgrade: websocket\r\n\r\n',
    );
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
  });
});

describe('addresses', () => {
  it('in use are an error', async () => {
    await expect(start(server.address)).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });

  it.each(['file', 'abstract'])('may be Unix sockets (%s), again after one was left behind', async (kind) => {
    const folder = mkdtempSync(join(tmpdir(), 'admin-'));
    const path = kind === 'file' ? join(folder, 'socket') : `@admin-test-${process.pid}`;
    try {
      for (let round = 0; round < 2; round++) {
        const other = await start(Address.pipe(path));
        expect(other.address.text).toBe(path);
        const status = await new Promise((resolve, reject) => {
          const socketPath = path.replace(/^@/, '\0');
          const request = httpRequest({ socketPath, path: '/ready', agent: false }, (response) => {
            response.resume();
            resolve(response.statusCode);
          });
          request.on('error', reject);
          request.end();
        });
        expect(status).toBe(200);
        await other.close();
      }
      expect(entries[0].remoteAddress).toBe('@');
      if (kind === 'file') {
        writeFileSync(path, 'not a socket');
        await expect(start(Address.pipe(path))).rejects.toMatchObject({ code: 'EADDRINUSE' });
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
