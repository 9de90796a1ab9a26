import type { JsonObject } from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { Rig, type RigOptions, type Try } from './rig.ts';

const POLICY: RigOptions['action'] = { retry_policy: { retry_on: '5xx,connect-failure', num_retries: 3 } };

describe('the body of a request that is tried again', () => {
  test.each<[name: string, before: (rig: Rig) => void, after: (rig: Rig) => void, events: string[]]>([
    [
      'complete',
      (rig) => {
        rig.body('ab');
        rig.body('cd', true);
      },
      () => {},
      ['headers', 'body:ab', 'body:cd end'],
    ],
    [
      'an empty last chunk',
      (rig) => {
        rig.body('ab');
        rig.body('', true);
      },
      () => {},
      ['headers', 'body:ab end'],
    ],
    ['nothing in it', (rig) => void rig.body('', true), () => {}, ['headers end']],
    [
      'trailers behind it',
      (rig) => {
        rig.body('ab');
        rig.trailers();
      },
      () => {},
      ['headers', 'body:ab', 'trailers end'],
    ],
    ['trailers alone', (rig) => rig.trailers(), () => {}, ['headers', 'trailers end']],
    [
      'half of it, the rest comes later',
      (rig) => void rig.body('ab'),
      (rig) => void rig.body('cd', true),
      ['headers', 'body:ab', 'body:cd end'],
    ],
    [
      'trailers come later',
      (rig) => void rig.body('ab'),
      (rig) => rig.trailers(),
      ['headers', 'body:ab', 'trailers end'],
    ],
  ])('%s', (_name, before, after, events) => {
    const rig = new Rig({ action: POLICY }).request(false);
    rig.last.ready();
    before(rig);
    rig.last.respond({ ':status': '503' }, false);
    rig.backOff().ready();
    after(rig);
    expect(rig.last.events).toEqual(events);
    rig.last.respond({ ':status': '503' }, false);
    rig.backOff().ready();
    // All that has come, in as many chunks.
    expect(rig.last.events).toEqual(events);
    rig.last.respond();
    expect(rig.outcome).toBe('200 - via_upstream');
  });

  test('what comes while the next try waits goes with it', () => {
    const rig = new Rig({ action: POLICY }).request(false);
    rig.last.ready();
    rig.body('ab');
    rig.last.lose();
    expect(rig.body('cd')).toBe(true);
    rig.backOff();
    rig.body('ef');
    rig.last.ready();
    rig.body('gh', true);
    expect(rig.last.events).toEqual(['headers', 'body:ab', 'body:cd', 'body:ef', 'body:gh end']);
  });

  test('what comes before there is a connection is kept once', () => {
    const rig = new Rig({ action: POLICY }).request(false);
    rig.body('ab');
    rig.body('cd', true);
    rig.last.fail('timeout');
    rig.backOff().ready();
    expect(rig.last.events).toEqual(['headers', 'body:ab', 'body:cd end']);
  });

  test('a request that was stopped for a try that is over flows again', () => {
    const rig = new Rig({ action: POLICY }).request(false);
    rig.last.ready().mayGoOn = false;
    expect(rig.body('ab')).toBe(false);
    rig.last.lose();
    expect(rig.stream.calls).toEqual(['resumeRequestBody']);
    expect(
      rig.counts('upstream_flow_control_backed_up_total', 'upstream_flow_control_drained_total'),
    ).toEqual([1, 1]);
  });
});

describe('a body that comes byte by byte', () => {
  const text = Array.from({ length: 50_000 }, (_, i) => String.fromCharCode(97 + (i % 26))).join('');
  const pieces = ({ events }: Try): string[] =>
    events.filter((event) => event.startsWith('body:')).map((event) => event.slice(5));

  test.each<[name: string, action: JsonObject]>([
    ['that waits for a connection', {}],
    ['that waits, and may be sent again', { retry_policy: { retry_on: '5xx' } }],
  ])('%s, is kept in few pieces', (_name, action) => {
    const rig = new Rig({ action }).request(false);
    for (const letter of text) rig.body(letter);
    rig.last.ready();
    expect(pieces(rig.last).join('')).toBe(text);
    expect(pieces(rig.last).length).toBeLessThan(40);
  });

  test('is sent again in few pieces', () => {
    const rig = new Rig({ action: { retry_policy: { retry_on: '5xx' } } }).request(false);
    rig.last.ready();
    for (const letter of text) rig.body(letter);
    rig.last.respond({ ':status': '503' });
    rig.backOff();
    for (const letter of text) rig.body(letter);
    rig.last.ready();
    expect(pieces(rig.last).join('')).toBe(text + text);
    expect(pieces(rig.last).length).toBeLessThan(45);
    expect(pieces(rig.tries[0]).join('')).toBe(text);
  });
});

describe('how much is kept', () => {
  test.each<[name: string, bufferLimit: number, route: JsonObject, virtualHost: JsonObject, limit: number]>([
    ['the listener’s limit', 8, {}, {}, 8],
    ['the route’s, when it is less', 8, { per_request_buffer_limit_bytes: 4 }, {}, 4],
    ['not the route’s, when it is more', 8, { per_request_buffer_limit_bytes: 16 }, {}, 8],
    ['the virtual host’s', 8, {}, { per_request_buffer_limit_bytes: 4 }, 4],
    [
      'the route’s before the virtual host’s',
      8,
      { per_request_buffer_limit_bytes: 6 },
      { per_request_buffer_limit_bytes: 4 },
      6,
    ],
    ['nothing', 8, { per_request_buffer_limit_bytes: 0 }, {}, 0],
    ['request_body_buffer_limit, also when it is more', 8, { request_body_buffer_limit: 16 }, {}, 16],
    ['request_body_buffer_limit of the virtual host', 8, {}, { request_body_buffer_limit: '5' }, 5],
    [
      'the route’s request_body_buffer_limit first',
      8,
      { request_body_buffer_limit: 3 },
      { request_body_buffer_limit: 5 },
      3,
    ],
    [
      'request_body_buffer_limit before the older field',
      8,
      { per_request_buffer_limit_bytes: 4 },
      { request_body_buffer_limit: 12 },
      12,
    ],
  ])('%s', (_name, bufferLimit, route, virtualHost, limit) => {
    const kept = (bytes: number) => {
      const rig = new Rig({ action: POLICY, bufferLimit, route, virtualHost }).request(false);
      rig.last.ready();
      for (let i = 0; i < bytes; i++) rig.body('x');
      rig.body('', true);
      expect(rig.last.events.join('').match(/x/g)?.length ?? 0).toBe(bytes);
      rig.last.respond({ ':status': '503' });
      return [rig.stat('cluster.c.upstream_rq_retry'), rig.stat('cluster.c.retry_or_shadow_abandoned')];
    };
    expect(kept(limit)).toEqual([1, 0]);
    expect(kept(limit + 1)).toEqual([0, 1]);
  });

  test('too much: retries are over, the body goes on, and its answer is passed on', () => {
    const rig = new Rig({ action: POLICY, bufferLimit: 4 }).request(false);
    rig.last.ready();
    rig.body('abc');
    rig.body('def');
    rig.body('ghi', true);
    expect(rig.last.events).toEqual(['headers', 'body:abc', 'body:def', 'body:ghi end']);
    rig.last.respond({ ':status': '503' });
    expect(rig.outcome).toBe('503 - via_upstream');
    expect(rig.counts('retry_or_shadow_abandoned', 'upstream_rq_retry')).toEqual([1, 0]);
  });

  test('too much while the next try waits: 507', () => {
    const rig = new Rig({ action: POLICY, bufferLimit: 4 }).request(false);
    rig.last.ready();
    rig.body('abc');
    rig.last.lose();
    rig.body('def');
    expect([rig.outcome, rig.reply.body]).toEqual([
      '507 - request_payload_exceeded_retry_buffer_limit',
      'exceeded request buffer limit while retrying upstream',
    ]);
    expect([rig.retriesUnderWay, rig.counts('retry_or_shadow_abandoned')]).toEqual([0, [1]]);
    rig.backOff();
    expect(rig.tries).toHaveLength(1);
  });

  test('nothing once the answer has begun', () => {
    const rig = new Rig({ action: POLICY, bufferLimit: 4 }).request(false);
    rig.last.ready();
    rig.body('abc');
    rig.last.respond({}, false);
    rig.body('def', true);
    expect(rig.counts('retry_or_shadow_abandoned')).toEqual([0]);
    expect(rig.last.events).toEqual(['headers', 'body:abc', 'body:def end']);
  });
});

describe('what a request holds', () => {
  const held = (rig: Rig): number | undefined => rig.filter.heldBytes;

  test('body that waits for a connection, and then what its codec has', () => {
    const rig = new Rig().request(false);
    expect(held(rig)).toBe(0);
    rig.body('12345');
    expect(held(rig)).toBe(5);
    rig.last.ready();
    expect(held(rig)).toBe(0);
    rig.last.heldBytes = 40;
    expect(held(rig)).toBe(40);
    rig.filter.onComplete();
    expect(held(rig)).toBe(0);
  });

  test('body that another try may need counts once', () => {
    const rig = new Rig({ action: POLICY }).request(false);
    rig.last.ready();
    rig.body('1234567890');
    rig.last.heldBytes = 10;
    expect(held(rig)).toBe(10);
    rig.last.heldBytes = 0;
    expect(held(rig)).toBe(10);
    rig.last.respond({}, false);
    expect(held(rig)).toBe(0);
  });

  test('copies for mirrors count with it', () => {
    const rig = new Rig({ action: { request_mirror_policies: [{ cluster: 'm' }] } }).request(false);
    rig.last.ready();
    rig.body('123');
    expect(held(rig)).toBe(3);
    rig.mirrored[0]?.ready();
    expect(held(rig)).toBe(0);
    (rig.mirrored[0] as Rig['last']).heldBytes = 7;
    expect(held(rig)).toBe(7);
  });
});
