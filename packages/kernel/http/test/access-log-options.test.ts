import type { AccessLogger, LogContext, TerminalHttpStream } from '@dragoman/core';
import type { JsonObject } from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { ManagerRig, ok, type RigOptions, respond } from './manager-rig.ts';

const silent = { upstream: { headers() {} } };

/** A rig whose log says, of each entry, what was known when it was written. */
function logging(manager: JsonObject, options: RigOptions = {}) {
  const entries: string[] = [];
  const logger: AccessLogger = { log: (context) => entries.push(entryOf(context)) };
  const rig = new ManagerRig({
    ...options,
    manager: { ...options.manager, ...manager },
    context: { accessLoggers: () => [logger] },
  });
  return { rig, entries };
}

function entryOf({ type, info, request }: LogContext): string {
  const ended = info.end > 0 ? ' ended' : '';
  return `${type} ${request?.path ?? '-'} ${info.responseCode} ${info.route?.virtualHostName ?? '-'}${ended}`;
}

const SPELLINGS: readonly (readonly [string, (interval: string) => JsonObject, JsonObject])[] = [
  [
    'access_log_options',
    (interval) => ({ access_log_options: { access_log_flush_interval: interval } }),
    { access_log_options: { flush_access_log_on_new_request: true } },
  ],
  [
    'the two fields before it',
    (interval) => ({ access_log_flush_interval: interval }),
    { flush_access_log_on_new_request: true },
  ],
];

describe.each(SPELLINGS)('%s', (_, every, onNewRequest) => {
  test('an entry at every interval, and one at the end', async () => {
    const { rig, entries } = logging(every('2s'), silent);
    await rig.request();
    await rig.advance(1999);
    expect(entries).toEqual([]);
    await rig.advance(1);
    await rig.advance(2000);
    ok(rig.streams[0] as TerminalHttpStream);
    await rig.advance(10_000);
    expect(entries).toEqual([
      'DownstreamPeriodic / 0 all',
      'DownstreamPeriodic / 0 all',
      'DownstreamEnd / 200 all ended',
    ]);
  });

  test('the interval of the next request begins with it', async () => {
    const { rig, entries } = logging(every('2s'), silent);
    await rig.request();
    await rig.advance(1500);
    ok(rig.streams[0] as TerminalHttpStream);
    await rig.advance(1500);
    await rig.request('GET /second HTTP/1.1');
    await rig.advance(1999);
    expect(entries).toEqual(['DownstreamEnd / 200 all ended']);
    await rig.advance(1);
    expect(entries.at(-1)).toBe('DownstreamPeriodic /second 0 all');
  });

  test.each([
    ['without filters', {}],
    ['with filters', { f: {} }],
  ])('an entry for a new request, before it goes anywhere, %s', async (__, filters) => {
    let before: string[] = [];
    const { rig, entries } = logging(onNewRequest, {
      filters,
      upstream: {
        headers(stream) {
          before = [...entries];
          ok(stream);
        },
      },
    });
    await rig.request();
    expect(before).toEqual(['DownstreamStart / 0 all']);
    expect(entries).toEqual(['DownstreamStart / 0 all', 'DownstreamEnd / 200 all ended']);
  });

  test('none for a request that is refused before it has a route', async () => {
    const { rig, entries } = logging(onNewRequest, { manager: { normalize_path: true } });
    await rig.request('GET /a%00b HTTP/1.1');
    expect(entries).toEqual(['DownstreamEnd /a%00b 400 all ended']);
  });
});

describe('flush_log_on_tunnel_successfully_established', () => {
  const onTunnel = { access_log_options: { flush_log_on_tunnel_successfully_established: true } };

  const UPGRADE = { connection: 'upgrade', upgrade: 'websocket' };

  /** What makes a tunnel is put on the request behind the checks that only let it through where it is configured. */
  test.each<[string, JsonObject, string, object, number, object, boolean]>([
    ['a request like any other', onTunnel, 'GET', {}, 200, {}, false],
    ['CONNECT that is accepted', onTunnel, 'CONNECT', {}, 200, {}, true],
    ['CONNECT that is not', onTunnel, 'CONNECT', {}, 403, {}, false],
    ['an upgrade that is granted', onTunnel, 'GET', UPGRADE, 101, UPGRADE, true],
    ['an upgrade that is not', onTunnel, 'GET', UPGRADE, 200, {}, false],
    ['CONNECT, when it is not asked for', {}, 'CONNECT', {}, 200, {}, false],
  ])('%s', async (_, manager, method, asked, status, granted, logged) => {
    const { rig, entries } = logging(manager, {
      upstream: {
        headers(stream, headers) {
          headers.method = method;
          for (const [name, value] of Object.entries(asked)) headers.append(name, value);
          stream.sendHeaders(respond(status, granted as Record<string, string>), true);
        },
      },
    });
    await rig.request();
    const tunnel = logged ? [`DownstreamTunnelSuccessfullyEstablished / ${status} all`] : [];
    expect(entries).toEqual([...tunnel, `DownstreamEnd / ${status} all ended`]);
  });
});

describe('what an entry in between knows', () => {
  test('the bytes so far; all of them at the end', async () => {
    const seen: number[][] = [];
    const rig = new ManagerRig({
      manager: { access_log_flush_interval: '1s' },
      upstream: {
        headers: (stream) => {
          stream.sendHeaders(respond(200), false);
          stream.sendBody(Buffer.from('half'), false, true);
        },
      },
      context: {
        accessLoggers: () => [
          {
            log: ({ info }) =>
              seen.push([info.bytesSent, info.downstreamWireBytesReceived, info.downstreamWireBytesSent]),
          },
        ],
      },
    });
    await rig.request();
    await rig.advance(1000);
    const received = 'GET / HTTP/1.1\r\nhost: a.test\r\n\r\n'.length;
    const sentSoFar = rig.client.bytes.length;
    rig.streams[0]?.sendBody(Buffer.from('rest'), true, true);
    await rig.run();
    expect(seen).toEqual([
      [4, received, sentSoFar],
      [8, received, rig.client.bytes.length],
    ]);
  });

  test('a logger that fails does not fail the stream, nor the loggers behind it', async () => {
    const entries: string[] = [];
    const rig = new ManagerRig({
      manager: { access_log_flush_interval: '1s', flush_access_log_on_new_request: true },
      ...silent,
      context: {
        accessLoggers: () => [
          {
            log() {
              throw new Error('full');
            },
          },
          { log: (context) => entries.push(context.type) },
        ],
      },
    });
    await rig.request();
    await rig.advance(1000);
    ok(rig.streams[0] as TerminalHttpStream);
    await rig.run();
    expect(rig.response.status).toBe(200);
    expect(entries).toEqual(['DownstreamStart', 'DownstreamPeriodic', 'DownstreamEnd']);
  });

  test('an interim response is the code so far', async () => {
    const { rig, entries } = logging({ access_log_flush_interval: '1s' }, silent);
    await rig.send('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\nexpect: 100-continue\r\n\r\n');
    await rig.advance(1000);
    expect(entries).toEqual(['DownstreamPeriodic / 100 all']);
    expect([rig.stat('downstream_rq_1xx'), rig.stat('downstream_rq_completed')]).toEqual([1, 1]);
  });
});

test.each(['access_log_flush_interval', 'flush_access_log_on_new_request'])(
  '%s and access_log_options are refused together',
  (field) => {
    const value = field === 'access_log_flush_interval' ? '1s' : true;
    expect(() => logging({ access_log_options: {}, [field]: value })).toThrow(
      expect.objectContaining({
        problems: [{ path: field, message: 'may not be set beside access_log_options; write it there' }],
      }),
    );
  },
);
