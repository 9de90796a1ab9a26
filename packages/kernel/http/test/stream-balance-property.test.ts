import type { AccessLogger, HttpFilter, HttpStream, TerminalHttpStream } from '@dragoman/core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ManagerRig, ok, respond } from './manager-rig.ts';

/** What a filter, or the terminal one, does when it is called. */
const act = fc.constantFrom('go', 'pause', 'reply', 'reset', 'throw', 'resume', 'clear');
type Act = 'go' | 'pause' | 'reply' | 'reset' | 'throw' | 'resume' | 'clear';

const plan = fc.record({
  factory: fc.constantFrom<Act>('go', 'go', 'go', 'reply', 'reset', 'throw'),
  requestHeaders: act,
  requestBody: fc.constantFrom<Act>('go', 'reply', 'reset', 'throw'),
  responseHeaders: act,
  responseTrailers: act,
});

const answer = fc.constantFrom(
  'ok',
  'open',
  'trailers',
  'switch',
  'restart',
  'reply',
  'reset',
  'throw',
  'none',
);

const REQUESTS = [
  'GET / HTTP/1.1\r\nhost: a\r\n\r\n',
  'POST /p HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nbody',
  'POST /p HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n',
  'POST /half HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nbody',
  'GET /ws HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n',
  'GET /no HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: other\r\n\r\n',
  'GET /a%00b HTTP/1.1\r\nhost: a\r\n\r\n',
  'GET / HTTP/1.1\r\nhost: a\r\nconnection: x-forwarded-for\r\n\r\n',
  'HEAD / HTTP/1.1\r\nhost: a\r\n\r\n',
  'GET / HTT',
  'nonsense\r\n\r\n',
];

const scene = fc.record({
  plans: fc.array(plan, { maxLength: 3 }),
  ownChain: fc.boolean(),
  answers: fc.array(answer, { minLength: 1, maxLength: 4 }),
  requests: fc.array(fc.constantFrom(...REQUESTS), { minLength: 1, maxLength: 4 }),
  waitMs: fc.constantFrom(0, 500, 3000, 30_000),
  end: fc.constantFrom<'flush' | 'reset'>('flush', 'reset'),
});

test('whatever filters, upstreams and clients do, every stream ends once, and everything balances', async () => {
  await fc.assert(
    fc.asyncProperty(scene, async ({ plans, ownChain, answers, requests, waitMs, end }) => {
      const made = new Map<object, number>();
      const track = <T extends object>(it: T): T => {
        made.set(it, 0);
        return it;
      };
      const ends = (it: object) => made.set(it, (made.get(it) ?? 0) + 1);
      const filter =
        (what: (typeof plans)[number]) =>
        (stream: HttpStream): HttpFilter => {
          const run = (wanted: Act): 'pause' | undefined => {
            if (wanted === 'pause') return 'pause';
            if (wanted === 'reply') stream.reply({ status: 418, body: 'no', details: 'filter' });
            if (wanted === 'reset') stream.reset('local-reset');
            if (wanted === 'resume') stream.resumeRequest();
            if (wanted === 'clear') stream.clearRouteCache();
            if (wanted === 'throw') throw new Error('bug');
            return undefined;
          };
          run(what.factory);
          return track<HttpFilter>({
            onRequestHeaders: () => run(what.requestHeaders as Act),
            onRequestBody: () => run(what.requestBody),
            onResponseHeaders: () => run(what.responseHeaders as Act),
            onResponseTrailers: () => run(what.responseTrailers as Act),
            onComplete(): void {
              ends(this);
            },
          });
        };
      let turn = 0;
      const respondTo = (stream: TerminalHttpStream) => {
        switch (answers[turn++ % answers.length]) {
          case 'ok':
            return ok(stream);
          case 'open':
            return stream.sendHeaders(respond(200), false);
          case 'trailers':
            stream.sendHeaders(respond(200), false);
            stream.addResponseTrailers().append('x-t', '1');
            return void stream.sendBody(Buffer.from('x'), true, true);
          case 'switch':
            return stream.sendHeaders(respond(101, { connection: 'upgrade', upgrade: 'websocket' }), false);
          case 'restart': {
            const request = stream.requestHeaders.clone();
            if (!stream.restart(request, respond(302), [Buffer.from('again')])) ok(stream);
            return;
          }
          case 'reply':
            return stream.reply({ status: 503, details: 'terminal' });
          case 'reset':
            return stream.reset('local-reset');
          case 'throw':
            throw new Error('bug');
          default:
        }
      };
      const streams = new Map<TerminalHttpStream, number>();
      let ended = 0;
      const logger: AccessLogger = {
        log: ({ type }) => {
          if (type === 'DownstreamEnd') ended++;
        },
      };
      const rig: ManagerRig = new ManagerRig({
        context: { accessLoggers: () => [logger] },
        manager: {
          normalize_path: true,
          request_timeout: '1s',
          stream_idle_timeout: '10s',
          access_log_options: { access_log_flush_interval: '2s', flush_access_log_on_new_request: true },
          common_http_protocol_options: { max_stream_duration: '20s', idle_timeout: '15s' },
          http_protocol_options: { enable_trailers: true },
          upgrade_configs: [
            { upgrade_type: 'websocket', ...(ownChain && { filters: [{ name: 'terminal' }] }) },
          ],
        },
        filters: Object.fromEntries(plans.map((what, i) => [`f${i}`, filter(what)])),
        upstream: {
          headers(stream) {
            // A request that goes round and round is not what is asked here.
            if (rig.streams.length < 20) respondTo(stream);
            else stream.reply({ status: 508, details: 'loop' });
          },
          complete: (stream) => void streams.set(stream, (streams.get(stream) ?? 0) + 1),
        },
      });
      await rig.send(...requests);
      if (waitMs > 0) await rig.advance(waitMs);
      rig.pair.client.close(end);
      await rig.run();
      // A request that waited behind another begins when that one has run into its timeout.
      for (let i = 0; i < 8; i++) await rig.advance(20_000);

      const total = rig.stat('downstream_rq_total');
      expect(rig.stat('downstream_rq_active')).toBe(0);
      expect(rig.stat('downstream_cx_upgrades_active')).toBe(0);
      expect(rig.stat('downstream_cx_active')).toBe(0);
      expect(ended).toBe(total);
      expect([...made.values()].filter((count) => count !== 1)).toEqual([]);
      for (const stream of rig.streams) expect(streams.get(stream)).toBe(1);
      expect(rig.clock.pendingTimers).toBe(0);
    }),
    { numRuns: 400 },
  );
});
