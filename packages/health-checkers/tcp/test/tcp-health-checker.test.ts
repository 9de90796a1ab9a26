import {
  create,
  HealthCheck_TcpHealthCheckSchema as TcpHealthCheckSchema,
  type MessageInitShape,
  ProxyProtocolConfig_Version as Version,
} from '@dragoman/api';
import { HealthScene } from '@dragoman/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { tcpHealthChecker } from '../src/index.ts';

type Config = MessageInitShape<typeof TcpHealthCheckSchema>;

const text = (value: string) =>
  ({ payload: { case: 'text', value: Buffer.from(value).toString('hex') } }) as const;
const PING: Config = { send: text('PING'), receive: [text('PO'), text('NG')] };

function checkerFor(config: Config, scene: HealthScene) {
  return tcpHealthChecker.create(create(TcpHealthCheckSchema, config) as never, scene.context);
}

function scene(config: Config, options: ConstructorParameters<typeof HealthScene>[0] = {}) {
  const made = new HealthScene(options);
  const session = made.session(checkerFor(config, made));
  const check = () => {
    made.check(session);
    made.run();
  };
  check();
  return { scene: made, session, check };
}

describe('without receive', () => {
  it.each<Config>([{}, { send: text('PING') }])('is well when it takes the connection: %j', (config) => {
    const { scene: one, check } = scene(config);
    expect(one.results).toEqual([{ ok: true }]);
    expect(one.last.received.text).toBe('');
    expect(one.last.pair.client.open).toBe(false);
    check();
    expect(one.connections.length).toBe(2);
  });

  it('is unreachable when it does not', () => {
    const one = new HealthScene();
    one.check(one.session(checkerFor({}, one)));
    one.last.pair.server.close('reset');
    one.last.pair.run();
    expect(one.results).toEqual([{ ok: false, kind: 'network', reason: 'connection reset by peer' }]);
  });
});

describe('with receive', () => {
  it.each([
    ['PONG', 'healthy'],
    ['say PO, then NG!', 'healthy'],
    ['NGPO', 'waits'],
    ['garbage', 'waits'],
    ['x'.repeat(500_000), 'waits'],
    ['PNG', 'waits'],
  ])('%s', (answer, expected) => {
    const { scene: one } = scene(PING);
    expect(one.last.received.text).toBe('PING');
    one.send(answer.slice(0, 1));
    one.send(answer.slice(1));
    expect(one.results).toEqual(expected === 'healthy' ? [{ ok: true }] : []);
  });

  it('keeps the connection, and nothing of what came before the next check', () => {
    const { scene: one, check } = scene(PING);
    one.send('PONG and PO');
    one.send('NG too late');
    check();
    expect(one.results).toEqual([{ ok: true }]);
    one.send('NG');
    expect(one.results.length).toBe(1);
    one.send('PONG');
    expect(one.results).toEqual([{ ok: true }, { ok: true }]);
    expect(one.connections.length).toBe(1);
    expect(one.last.received.text).toBe('PINGPING');
  });

  it('takes a new connection each time without reuse_connection', () => {
    const { scene: one, check } = scene(PING, { reuseConnection: false });
    one.send('PONG');
    expect(one.connections[0]?.pair.client.open).toBe(false);
    check();
    one.send('PONG');
    expect(one.connections.length).toBe(2);
    expect(one.results.length).toBe(2);
  });

  it.each([
    ['flush', 'the host closed the connection'],
    ['reset', 'connection reset by peer'],
  ] as const)('is unreachable when the host closes (%s) before all has come', (mode, reason) => {
    const { scene: one } = scene(PING);
    one.send('PO');
    one.last.pair.server.close(mode);
    one.run();
    expect(one.results).toEqual([{ ok: false, kind: 'network', reason }]);
    expect(one.last.pair.client.open).toBe(false);
  });

  it('connects anew after the host closed between checks, or a check was given up', () => {
    const { scene: one, session, check } = scene(PING);
    one.send('PONG');
    one.last.pair.server.close('flush');
    one.run();
    expect(one.results.length).toBe(1);
    check();
    session.cancel();
    one.send('PONG');
    expect(one.results.length).toBe(1);
    check();
    one.send('PONG');
    expect([one.results.length, one.connections.length]).toEqual([2, 3]);
  });

  it('takes any bytes in any pieces', () => {
    const bytes = fc.string({ unit: fc.constantFrom('P', 'O', 'N', 'G', '\u0000', '\u00ff'), maxLength: 30 });
    fc.assert(
      fc.property(bytes, fc.integer({ min: 1, max: 5 }), (answer, chunkBytes) => {
        const { scene: one } = scene(PING, { pair: { chunkBytes } });
        one.send(answer);
        expect(one.results.length).toBe(/PO[\s\S]*NG/.test(answer) ? 1 : 0);
      }),
      { seed: 5 },
    );
  });
});

describe('PROXY protocol', () => {
  const receive = [text('OK')];
  it.each([
    [Version.V1, 'PROXY TCP4 192.0.2.1 192.0.2.2 40000 80\r\nhi'],
    [Version.V2, '\r\n\r\n\u0000\r\nQUIT\n\u0020\u0000\u0000\u0000hi'],
  ])('version %s begins a connection, once', (version, expected) => {
    const { scene: one, check } = scene({ send: text('hi'), receive, proxyProtocolConfig: { version } });
    one.send('OK');
    check();
    expect(one.last.received.text).toBe(`${expected}hi`);
  });

  it('goes without send', () => {
    const { scene: one } = scene({ receive, proxyProtocolConfig: { version: Version.V2 } });
    expect(one.last.received.bytes.length).toBe(16);
  });
});

it.each<[Config, string]>([
  [{ send: { payload: { case: 'text', value: 'xyz' } } }, 'send.text: invalid hex string'],
  [{ receive: [text('a'), {}] }, 'receive[1]: one of text and binary is required'],
  [{ proxyProtocolConfig: { addedTlvs: [{ type: 1 }] } }, 'proxy_protocol_config.added_tlvs: has no effect'],
])('refuses %j', (config, message) => {
  expect(() => checkerFor(config, new HealthScene())).toThrow(message);
});
