import { createServer, type Http2Server, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { FrameConnection, HttpUpstream, hang, text, within } from '@dragoman/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { httpListener, prefixRoute } from './support/config.ts';
import { CASES, CODE_NAMES, type Case, HANG, type Want } from './support/http2-cases.ts';
import { behindPassthrough, passthroughFilter } from './support/passthrough.ts';
import { TestProxy } from './support/proxy.ts';

/** How long a case waits for what does not come. On a busy machine what comes may be late: it is looked for first. */
const PATIENCE_MS = 400;

const name = ({ section, what }: Case): string => `${section}: ${what}`;

/** Where Node's layer does not do what the RFCs want, and what it does. docs/http2.md says what follows from it. */
const DIFFERENT: Readonly<Record<string, string>> = {
  '5.1: closed by RST_STREAM: DATA': 'nothing',
  '5.1: closed by RST_STREAM: HEADERS': 'nothing',
  '5.1: closed: DATA': 'answered 200',
  '5.1: closed: HEADERS': 'answered 200',
  '5.1.1: a smaller stream': 'nothing',
  '6.3: PRIORITY on stream 0': 'nothing',
  '6.7: PING with ACK is not answered': 'GOAWAY INTERNAL_ERROR',
};

/** The same, of what the usual suites do not try, or let pass because the connection ends. */
const DIFFERENT_BEYOND: Readonly<Record<string, string>> = {
  '8.2.1: a name with a blank': 'answered 200',
  '8.2.1: a name with a colon': 'answered 200',
  '8.2.1: an empty name': 'answered 200',
  '8.2.1: a value with NUL': 'answered 200',
  '8.2.1: a value with CR': 'answered 200',
  '8.2.1: a value with LF': 'answered 200',
  '8.2.1: a value with a leading blank': 'answered 200',
  '8.2.1: a value with a trailing tab': 'answered 200',
  '8.1.1: content-length that one DATA does not keep': 'GOAWAY INTERNAL_ERROR',
  '8.1.1: content-length that several DATA do not keep': 'GOAWAY INTERNAL_ERROR',
};

let upstream: HttpUpstream;
let proxy: TestProxy;
let plain: Http2Server;
/** Of the listener with a filter in front, where Node does not read the socket itself. */
const BEHIND = 'behind';

beforeAll(async () => {
  upstream = await HttpUpstream.start((exchange) =>
    exchange.request.path.startsWith(HANG) ? hang()(exchange) : text('0123456789')(exchange),
  );
  const routes = [
    { match: { path: '/nowhere' }, direct_response: { status: 404 } },
    prefixRoute('/', 'upstream', { timeout: '0s' }),
  ];
  proxy = await TestProxy.start({
    upstream,
    routes,
    listeners: [behindPassthrough(httpListener({ name: BEHIND, routes }))],
    extensions: [passthroughFilter],
  });
});

beforeAll(async () => {
  plain = createServer();
  plain.on('session', (session) => session.on('error', () => {}));
  plain.on('stream', (stream: ServerHttp2Stream, headers) => {
    stream.on('error', () => {});
    const path = String(headers[':path']);
    if (path.startsWith(HANG)) return;
    if (path === '/nowhere') stream.respond({ ':status': 404 }, { endStream: true });
    else {
      stream.resume().on('end', () => {
        if (stream.destroyed) return;
        stream.respond();
        stream.end('0123456789');
      });
    }
  });
  await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve));
});

afterAll(async () => {
  await new Promise((resolve) => plain.close(resolve));
  await proxy.close();
  await proxy[Symbol.asyncDispose]();
});

const code = (value: number | undefined): string => CODE_NAMES[value ?? -1] ?? String(value);

/** What the server has done: GOAWAY, an end, a reset, an answer, or nothing. */
function observed(client: FrameConnection, streamId: number): string {
  const response = client.response(streamId);
  if (client.goaway !== undefined && client.goaway.code !== 0) return `GOAWAY ${code(client.goaway.code)}`;
  if (response.reset !== undefined && response.reset !== 0) return `RST_STREAM ${code(response.reset)}`;
  if (client.ended) return 'closed';
  if (response.status > 0) return `answered ${response.status}`;
  return 'nothing';
}

function satisfied(want: Want, client: FrameConnection): boolean {
  switch (want.kind) {
    case 'goaway':
      return client.goaway !== undefined ? want.codes.includes(client.goaway.code) : client.ended;
    case 'reset': {
      const { reset } = client.response(want.streamId);
      if (reset !== undefined) return want.codes.includes(reset);
      return client.goaway !== undefined ? want.codes.includes(client.goaway.code) : client.ended;
    }
    case 'answer': {
      const response = client.response(want.streamId);
      return response.status === want.status && response.ended;
    }
    case 'closed':
      return client.ended;
    case 'seen':
      return want.what(client);
    case 'silence':
      return !client.ended && client.goaway === undefined;
  }
}

async function perform(one: Case, port: number): Promise<string> {
  await using client = await FrameConnection.connect({ port });
  if (one.raw !== true) {
    client.begin();
    await client.settled();
    // Theirs count from here.
    client.received.splice(0, client.received.length, ...client.received.filter(({ type }) => type !== 6));
  }
  const { want } = one;
  const streamId = 'streamId' in want ? want.streamId : 1;
  try {
    await within(Promise.resolve(one.act(client)), 'the frames of a case');
  } catch {
    // It ended before everything was sent.
  }
  // What is an error of the frames alone comes before the answers to what is sent behind them; an answer of the upstream may take longer.
  const known = DIFFERENT[name(one)] ?? DIFFERENT_BEYOND[name(one)];
  if (want.kind === 'silence' || known !== undefined) {
    for (let i = 0; i < 3; i++) await client.settled().catch(() => false);
    if (known?.startsWith('answered') === true) await client.complete(streamId).catch(() => {});
    return satisfied(want, client) ? 'ok' : observed(client, streamId);
  }
  try {
    await client.until(
      () => satisfied(want, client) || (client.ended && want.kind !== 'closed'),
      'what the RFC wants',
      PATIENCE_MS,
    );
  } catch {
    // Told below.
  }
  return satisfied(want, client) ? 'ok' : observed(client, streamId);
}

describe('RFC 9113 and RFC 7541', () => {
  it('there are as many cases as the usual suite has', () => {
    expect(CASES.length).toBeGreaterThanOrEqual(146);
    expect(new Set(CASES.map(name)).size).toBe(CASES.length);
    const known = [...Object.keys(DIFFERENT), ...Object.keys(DIFFERENT_BEYOND)];
    for (const title of known) expect(CASES.map(name)).toContain(title);
    // A plain server on node:http2 has seven.
    expect(Object.keys(DIFFERENT).length).toBeLessThanOrEqual(7);
  });

  describe.each(['http', BEHIND])('listener %s', (listener) => {
    it.each(CASES.map((one) => [name(one), one] as const))('%s', async (title, one) => {
      const result = await perform(one, proxy.portOf(listener));
      expect(result).toBe(DIFFERENT[title] ?? DIFFERENT_BEYOND[title] ?? 'ok');
      // Never worse than the layer below, alone.
      if (result !== 'ok') expect(await perform(one, (plain.address() as AddressInfo).port)).not.toBe('ok');
    });
  });

  it('nothing of it is left', async () => {
    await proxy.expectIdle();
    expect(proxy.loggers.lines.filter((line) => line.includes('error'))).toEqual([]);
    expect((await proxy.get('/')).status).toBe(200);
  });
});
