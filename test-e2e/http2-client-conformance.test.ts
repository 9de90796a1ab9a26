import { eventually, within } from '@dragoman/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cluster, prefixRoute } from './support/config.ts';
import { CODE_NAMES } from './support/http2-cases.ts';
import { CASES, type Case } from './support/http2-client-cases.ts';
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
  '6.7: PING with ACK that nobody asked for': 'closed; 502',
  '8.2.1: a name with a blank': 'nothing; whole',
  '8.2.1: a name with a colon': 'nothing; whole',
  '8.2.1: an empty name': 'nothing; whole',
  '8.2.1: a value with NUL': 'nothing; whole',
  '8.2.1: a value with CR': 'nothing; whole',
  '8.2.1: a value with LF': 'nothing; whole',
  '8.2.1: a value with a leading blank': 'nothing; whole',
  '8.2.1: a value with a trailing tab': 'nothing; whole',
};

let upstream: ScriptedUpstream;
let proxy: TestProxy;

beforeAll(async () => {
  upstream = await ScriptedUpstream.start();
  const windows = { initial_stream_window_size: 65_536, initial_connection_window_size: 1_048_576 };
  const lenient = { ...windows, override_stream_error_on_invalid_http_message: true };
  proxy = await TestProxy.start({
    upstream: upstream.port,
    upstreamFields: upstreamHttp({ http2_protocol_options: windows }),
    clusters: [cluster('lenient', [upstream.port], upstreamHttp({ http2_protocol_options: lenient }))],
    routes: [prefixRoute('/lenient', 'lenient'), prefixRoute('/', 'upstream')],
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
      if (reset !== undefined && want.codes.includes(reset)) return true;
      return goaway === undefined ? peer.ended : want.codes.includes(goaway.code);
    }
    case 'connection':
      return goaway === undefined ? peer.ended : want.codes.includes(goaway.code);
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

  it('nothing of it is left', async () => {
    await upstream.disconnect();
    await proxy.expectIdle();
    expect(proxy.loggers.lines.filter((line) => line.includes('error'))).toEqual([]);
  });
});
