import { eventually, frames, hpack, within } from '@dragoman/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cluster, prefixRoute } from './support/config.ts';
import { CODE_NAMES } from './support/http2-cases.ts';
import { CASES, type Case, GOOD } from './support/http2-client-cases.ts';
import { type Ask, askHttp1, askHttp2, askPlain } from './support/http2-client-kinds.ts';
import { ScriptedUpstream, type UpstreamConnection } from './support/http2-upstream.ts';
import { TestProxy } from './support/proxy.ts';
import { upstreamHttp } from './support/secure.ts';

/** How long a case waits for what does not come. On a busy machine what comes may be late: it is looked for first. */
const PATIENCE_MS = 400;

const name = ({ section, what }: Case): string => `${section}: ${what}`;

/** Where Node's layer does not do what the RFCs want: what it does, and what the client gets. docs/http2.md says what follows from it. */
const DIFFERENT: Readonly<Record<string, string>> = {
  '5.1: closed by RST_STREAM: DATA': 'nothing; cut',
  '5.1: closed by RST_STREAM: HEADERS': 'nothing; 503',
  '5.1: closed: DATA': 'nothing; whole',
  '5.1: closed: HEADERS': 'nothing; whole',
  '6.3: PRIORITY on stream 0': 'nothing; whole',
  '6.7: PING with ACK that nobody asked for': 'GOAWAY INTERNAL_ERROR; 502',
  '8.1: DATA behind an interim response': 'GOAWAY INTERNAL_ERROR; 502',
  '8.1.1: content-length below the body': 'GOAWAY INTERNAL_ERROR; cut',
  '8.1.1: content-length that several DATA do not keep': 'GOAWAY INTERNAL_ERROR; cut',
  '8.1.1: 204 with DATA': 'GOAWAY INTERNAL_ERROR; 204 whole ""',
  '8.2.1: a name with a blank': 'nothing; whole',
  '8.2.1: a name with a colon': 'nothing; whole',
  '8.2.1: an empty name': 'nothing; whole',
  '8.2.1: a value with NUL': 'nothing; whole',
  '8.2.1: a value with CR': 'nothing; whole',
  '8.2.1: a value with LF': 'nothing; whole',
  '8.2.1: a value with a leading blank': 'nothing; whole',
  '8.2.1: a value with a trailing tab': 'nothing; whole',
};

const RESPONSE = Buffer.concat([
  frames.headers(1, hpack.block([[':status', '200']])),
  frames.data(1, GOOD, { endStream: true }),
]);

let upstream: ScriptedUpstream;
let proxy: TestProxy;

beforeAll(async () => {
  upstream = await ScriptedUpstream.start();
  const windows = { initial_stream_window_size: 65_536, initial_connection_window_size: 1_048_576 };
  const lenient = { ...windows, override_stream_error_on_invalid_http_message: true };
  proxy = await TestProxy.start({
    upstream: upstream.port,
    upstreamFields: upstreamHttp({ http2_protocol_options: windows }),
    clusters: [
      cluster('lenient', [upstream.port], upstreamHttp({ http2_protocol_options: lenient })),
      cluster('single', [upstream.port], {
        ...upstreamHttp({ http2_protocol_options: windows }),
        circuit_breakers: { thresholds: [{ max_connections: 1 }] },
      }),
    ],
    routes: [
      prefixRoute('/single', 'single', { retry_policy: { retry_on: 'reset' } }),
      prefixRoute('/lenient', 'lenient'),
      prefixRoute('/', 'upstream'),
    ],
  });
});

afterAll(async () => {
  await upstream.stop();
  await proxy.close();
  await proxy[Symbol.asyncDispose]();
});

/** Who asks: in `lenient` cluster and all, a malformed response costs its stream only. */
const WAYS: Readonly<Record<string, { readonly ask: Ask; readonly path: string }>> = {
  'HTTP/1.1 → HTTP/2': { ask: askHttp1, path: '/' },
  'HTTP/2 → HTTP/2, stream errors': { ask: askHttp2, path: '/lenient' },
};

const code = (value: number): string => CODE_NAMES[value] ?? String(value);

/** What the upstream has been told: GOAWAY, an end, a reset, or nothing. */
function observed(peer: UpstreamConnection): string {
  const { reset } = peer.response(1);
  if (peer.goaway !== undefined && peer.goaway.code !== 0) return `GOAWAY ${code(peer.goaway.code)}`;
  if (reset !== undefined) return `RST_STREAM ${code(reset)}`;
  return peer.ended ? 'closed' : 'nothing';
}

const PEACEFUL = ['nothing', 'RST_STREAM NO_ERROR', 'RST_STREAM CANCEL'];

function satisfied({ want }: Case, peer: UpstreamConnection): boolean {
  const { goaway } = peer;
  switch (want.kind) {
    case 'stream': {
      const { reset } = peer.response(1);
      return (reset !== undefined && want.codes.includes(reset)) || want.codes.includes(goaway?.code ?? -1);
    }
    case 'connection':
      // The RFC is content with the end. The code says to the upstream's owner why.
      return want.codes.includes(goaway?.code ?? -1);
    case 'peace':
      return PEACEFUL.includes(observed(peer));
    case 'closed':
      return peer.ended;
    case 'seen':
      return want.what(peer);
  }
}

/** `ok`, or what was done instead, and what the client has got. */
async function perform(one: Case, ask: Ask, port: number, path: string): Promise<string> {
  await upstream.disconnect();
  await eventually(() => proxy.stat('cluster.upstream.upstream_cx_active') === 0);
  await eventually(() => proxy.stat('cluster.lenient.upstream_cx_active') === 0);
  upstream.script = one;
  const asked = await ask({ port, path, open: one.open === true, slow: one.slow === true });
  try {
    const peer = await within(upstream.connection(), 'a connection to the upstream');
    const known = DIFFERENT[name(one)] !== undefined;
    // What takes its time is looked for first, and what never comes last.
    if (one.want.kind !== 'peace' && !known)
      await peer.until(() => satisfied(one, peer), 'what the RFC wants', PATIENCE_MS).catch(() => {});
    asked.read();
    const result = await within(asked.result, 'a response', PATIENCE_MS).catch(() => 'nothing');
    if (one.want.kind === 'peace' || known) await peer.settled().catch(() => {});
    const kept =
      one.outcome === 'failure' ? result === 'cut' || /^5\d\d$/.test(result) : result === one.outcome;
    return satisfied(one, peer) && kept ? 'ok' : `${observed(peer)}; ${result}`;
  } finally {
    asked.close();
  }
}

describe('RFC 9113 and RFC 7541, from upstreams', () => {
  it('the cases are complete, and each has a name of its own', () => {
    expect(CASES.length).toBeGreaterThanOrEqual(57);
    const titles = CASES.map(name);
    expect(new Set(titles).size).toBe(titles.length);
    for (const title of Object.keys(DIFFERENT)) expect(titles).toContain(title);
  });

  describe.each(Object.entries(WAYS))('%s', (_, { ask, path }) => {
    it.each(CASES.map((one) => [name(one), one] as const))('%s', async (title, one) => {
      const result = await perform(one, ask, proxy.port, path);
      expect(result).toBe(DIFFERENT[title] ?? 'ok');
      // Never worse than the layer below, alone.
      if (result !== 'ok') expect(await perform(one, askPlain, upstream.port, path)).not.toBe('ok');
    });
  });

  it.each([
    ['a connection error', frames.ping('12345678').fill(1, 5, 9)],
    ['a malformed response', frames.headers(1, hpack.block([['x', 'y']]))],
  ])('%s: a retry gets another connection, where one at a time is allowed', async (_, bytes) => {
    await upstream.disconnect();
    let connections = 0;
    upstream.script = {
      act: (peer) => void peer.send(connections++ === 0 ? bytes : RESPONSE),
    };
    const asked = await askHttp1({ port: proxy.port, path: '/single', open: false, slow: false });
    expect(await within(asked.result, 'a response')).toBe('whole');
    expect([connections, upstream.count]).toEqual([2, 2]);
  });

  it('nothing of it is left', async () => {
    await upstream.disconnect();
    await proxy.expectIdle();
    expect(proxy.loggers.lines.filter((line) => line.includes('error'))).toEqual([]);
  });
});
