import type { HealthCheckResult } from '@dragoman/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkerFor, type Config, text, wireScene } from './scene.ts';

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';

/** The result of a check that is answered with these bytes; undefined while there is none. */
function answered(bytes: string, config: Config = {}, chunkBytes = 10_000): HealthCheckResult | undefined {
  const scene = wireScene({ pair: { chunkBytes } });
  scene.check(scene.session(checkerFor(config, scene.context)));
  scene.run();
  scene.send(bytes);
  return scene.results[0];
}

const word = (result: HealthCheckResult | undefined) =>
  result === undefined ? 'waits' : result.ok ? 'healthy' : result.kind;

it('asks as Envoy does', () => {
  const scene = wireScene();
  scene.check(scene.session(checkerFor({}, scene.context)));
  scene.run();
  expect(scene.last.received.take().toLowerCase()).toBe(
    'get /healthz http/1.1\r\nhost: test\r\nuser-agent: envoy/hc\r\n\r\n',
  );
});

describe('what hosts answer', () => {
  it.each<[string, string, string, Config?]>([
    ['well', OK, 'healthy'],
    ['100 first', `HTTP/1.1 100 Continue\r\n\r\n${OK}`, 'healthy'],
    ['HTTP/1.0', 'HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n', 'healthy'],
    [
      'chunks',
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx: y\r\n\r\n',
      'healthy',
    ],
    ['two answers', OK + OK, 'healthy'],
    ['ill', 'HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n', 'active'],
    ['half a head', 'HTTP/1.1 200 OK\r\ncontent-le', 'waits'],
    ['half a body', 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nok', 'waits'],
    ['a body without end', `HTTP/1.1 200 OK\r\n\r\n${'x'.repeat(300_000)}`, 'waits'],
    ['garbage', '\u0000\u0001\u0002 what is this\r\n\r\n', 'network'],
    [
      'not a switch of protocols',
      'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n',
      'network',
    ],
    ['endless headers', `HTTP/1.1 200 OK\r\n${'x: y\r\n'.repeat(50_000)}`, 'network'],
    ['one endless header', `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(500_000)}`, 'network'],
    ['endless 100s', 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(1000), 'network'],
    ['a wrong chunk', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n', 'network'],
  ])('%s', (_name, bytes, expected, config) => {
    expect(word(answered(bytes, config))).toBe(expected);
  });

  it('one byte at a time', () => expect(answered(OK, {}, 1)).toEqual({ ok: true }));

  it.each([
    ['before an answer', '', 'network'],
    ['in the middle of a head', 'HTTP/1.1 200', 'network'],
    ['in the middle of a body', 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nok', 'network'],
    ['where the body ends with it', 'HTTP/1.1 200 OK\r\n\r\nok', 'healthy'],
  ])('closes %s', (_name, bytes, expected) => {
    const scene = wireScene();
    scene.check(scene.session(checkerFor({}, scene.context)));
    scene.run();
    scene.last.pair.server.writeText(bytes);
    scene.last.pair.server.close('flush');
    scene.run();
    expect(scene.results.map(word)).toEqual([expected]);
  });

  it('takes any bytes for what they are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (noise, head) => {
        const bytes = Buffer.from(noise).toString('latin1');
        const result = answered(head ? `HTTP/1.1 200 OK\r\n${bytes}` : bytes);
        expect(['waits', 'network', 'active', 'healthy']).toContain(word(result));
        if (!head && result?.ok === true) expect(bytes).toMatch(/^\s*HTTP\/1/);
      }),
      { seed: 3, numRuns: 200 },
    );
  });
});

describe('the connection', () => {
  it.each<[string, string, number, boolean?]>([
    ['is kept', OK, 1],
    ['is not kept without reuse_connection', OK, 2, false],
    ['ends with connection: close', 'HTTP/1.1 200 OK\r\nconnection: Close\r\ncontent-length: 0\r\n\r\n', 2],
    [
      'ends with proxy-connection: close',
      'HTTP/1.1 200 OK\r\nproxy-connection: close\r\ncontent-length: 0\r\n\r\n',
      2,
    ],
    ['ends with HTTP/1.0', 'HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n', 2],
    ['ends with a second answer', OK + OK, 2],
  ])('%s', (_name, bytes, connections, reuseConnection = true) => {
    const scene = wireScene({ reuseConnection });
    const session = scene.session(checkerFor({}, scene.context));
    for (let i = 0; i < 2; i++) {
      scene.check(session);
      scene.run();
      scene.send(bytes);
    }
    expect(scene.results).toEqual([{ ok: true }, { ok: true }]);
    expect(scene.connections.length).toBe(connections);
  });

  it('is replaced when the host has closed it between checks, and after a check that was given up', () => {
    const scene = wireScene();
    const session = scene.session(checkerFor({}, scene.context));
    const good = () => {
      scene.check(session);
      scene.run();
      scene.send(OK);
    };
    good();
    scene.last.pair.server.close('now');
    scene.run();
    good();
    scene.check(session);
    scene.run();
    session.cancel();
    scene.send(OK);
    expect(scene.last.received.closed || !scene.last.pair.client.open).toBe(true);
    good();
    expect(scene.results.map(word)).toEqual(['healthy', 'healthy', 'healthy']);
    expect(scene.connections.length).toBe(3);
    session.close();
    expect(scene.last.pair.client.open).toBe(false);
  });

  it('carries a body', () => {
    const scene = wireScene();
    scene.check(scene.session(checkerFor({ method: 3, send: text('ping') }, scene.context)));
    scene.run();
    expect(scene.last.received.text).toMatch(/^POST [\s\S]*content-length: 4\r\n\r\nping$/i);
  });
});
