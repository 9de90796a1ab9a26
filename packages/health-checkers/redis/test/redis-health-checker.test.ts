import { create, RedisSchema } from '@dragoman/api';
import { HealthScene } from '@dragoman/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { redisHealthChecker } from '../src/index.ts';
import { RespReader } from '../src/resp.ts';

function scene(key = '', options: ConstructorParameters<typeof HealthScene>[0] = {}) {
  const made = new HealthScene(options);
  const config = create(RedisSchema, { key });
  const session = made.session(redisHealthChecker.create(config as never, made.context));
  const check = () => {
    made.check(session);
    made.run();
  };
  check();
  return { scene: made, session, check };
}

it.each([
  ['', '*1\r\n$4\r\nPING\r\n'],
  ['maintenance', '*2\r\n$6\r\nEXISTS\r\n$11\r\nmaintenance\r\n'],
  ['ключ', `*2\r\n$6\r\nEXISTS\r\n$8\r\n${Buffer.from('ключ').toString('latin1')}\r\n`],
])('asks for %j', (key, bytes) => {
  expect(scene(key).scene.last.received.text).toBe(bytes);
});

describe('answers', () => {
  it.each([
    ['', '+PONG\r\n', 'healthy'],
    ['', '+pong\r\n', 'active'],
    ['', '$4\r\nPONG\r\n', 'active'],
    ['', ':0\r\n', 'active'],
    ['', '-NOAUTH Authentication required.\r\n', 'active'],
    ['', '-LOADING Redis is loading\r\n', 'active'],
    ['', '-\r\n', 'active'],
    ['', '-MOVED 1 10.0.0.1:6379\r\n', 'healthy'],
    ['', '-ASK 1 10.0.0.1:6379\r\n', 'healthy'],
    ['', '-MOVED 1\r\n', 'active'],
    ['', '-CLUSTERDOWN The cluster is down\r\n', 'network'],
    ['', '*2\r\n+PONG\r\n$-1\r\n', 'active'],
    ['', '*-1\r\n', 'active'],
    ['', '*0\r\n', 'active'],
    ['', '$-1\r\n', 'active'],
    ['k', ':0\r\n', 'healthy'],
    ['k', ':1\r\n', 'active'],
    ['k', '+PONG\r\n', 'active'],
    ['k', ':\r\n', 'network'],
    ['k', ':0x\r\n', 'network'],
    ['', '+PONG', 'waits'],
    ['', '+PONG\r', 'waits'],
    ['', '+PONG\rX', 'network'],
    ['', '$4\r\nPON', 'waits'],
    ['', '$4\r\nPONGXX', 'network'],
    ['', '$9999999999\r\n', 'network'],
    ['', '*9999999\r\n', 'network'],
    ['', '*1\r\n'.repeat(40), 'network'],
    ['', 'HTTP/1.1 400 Bad Request\r\n', 'network'],
    ['', '\r\n', 'network'],
    ['', `+${'x'.repeat(70_000)}`, 'network'],
  ])('%j: %j', (key, bytes, expected) => {
    for (const chunkBytes of [1, 3, 100_000]) {
      if (chunkBytes < bytes.length / 10_000) continue;
      const { scene: one } = scene(key, { pair: { chunkBytes } });
      one.send(bytes);
      const [result] = one.results;
      expect(result === undefined ? 'waits' : result.ok ? 'healthy' : result.kind).toBe(expected);
    }
  });

  it('says what came, in short', () => {
    const { scene: one } = scene();
    one.send(`-${'e'.repeat(1000)}\r\n`);
    expect(one.results).toEqual([{ ok: false, kind: 'active', reason: `error: ${'e'.repeat(100)}…` }]);
  });
});

describe('the connection', () => {
  it('is kept, also behind an answer that is not well', () => {
    const { scene: one, check } = scene();
    one.send('-LOADING\r\n');
    check();
    one.send('+PONG\r\n');
    expect(one.results.map(({ ok }) => ok)).toEqual([false, true]);
    expect(one.connections.length).toBe(1);
  });

  it.each([
    ['two answers', ['+PONG\r\n+PONG\r\n']],
    ['an answer that nobody asked for', ['+PONG\r\n', '+PONG\r\n']],
  ])('ends with %s', (_name, answers) => {
    const { scene: one, check } = scene();
    for (const answer of answers) one.send(answer);
    expect(one.results).toEqual([{ ok: true }]);
    check();
    expect(one.connections.length).toBe(2);
  });

  it('breaks in the middle', () => {
    const { scene: one } = scene();
    one.send('+PO');
    one.last.pair.server.close('flush');
    one.run();
    expect(one.results).toMatchObject([{ ok: false, kind: 'network' }]);
  });
});

describe('RespReader', () => {
  const leaf = fc.oneof(
    fc.stringMatching(/^[a-zA-Z ]{0,8}$/).map((text) => `+${text}\r\n`),
    fc.maxSafeInteger().map((number) => `:${number}\r\n`),
    fc.stringMatching(/^[a-z\r\n]{0,8}$/).map((text) => `$${text.length}\r\n${text}\r\n`),
    fc.constant('$-1\r\n'),
  );
  const { value } = fc.letrec<{ value: string }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      leaf,
      fc.array(tie('value'), { maxLength: 3 }).map((items) => `*${items.length}\r\n${items.join('')}`),
    ),
  }));

  it('finds the end of every value, in any pieces', () => {
    fc.assert(
      fc.property(value, fc.integer({ min: 1, max: 7 }), (text, size) => {
        const reader = new RespReader();
        for (let at = 0; at < text.length; at += size) {
          expect(reader.push(Buffer.alloc(0))).toBeUndefined();
          reader.push(Buffer.from(text.slice(at, at + size)));
        }
        expect([reader.failure, reader.push(Buffer.alloc(0)) !== undefined, reader.surplus]).toEqual([
          undefined,
          true,
          false,
        ]);
      }),
      { seed: 11 },
    );
  });

  it('survives everything else', () => {
    const near = fc.string({
      unit: fc.constantFrom('+', '-', ':', '$', '*', '1', '0', '\r', '\n', 'a'),
      maxLength: 40,
    });
    fc.assert(
      fc.property(near, fc.integer({ min: 1, max: 5 }), (text, size) => {
        const whole = new RespReader();
        whole.push(Buffer.from(text));
        const pieces = new RespReader();
        for (let at = 0; at < text.length; at += size) pieces.push(Buffer.from(text.slice(at, at + size)));
        expect(pieces.failure).toBe(whole.failure);
        expect(pieces.push(Buffer.alloc(0))).toEqual(whole.push(Buffer.alloc(0)));
      }),
      { seed: 13, numRuns: 500 },
    );
  });
});
