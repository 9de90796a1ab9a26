import { durationFromMs } from '@dragoman/api';
import { ResponseFlag, responseFlagsShort, type TlsInfo, type TransportOptions } from '@dragoman/core';
import { xxHash64 } from '@dragoman/hashing';
import { ScriptedRandom } from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { FakeCluster, Session } from './fakes.ts';

describe('connecting', () => {
  test('reads nothing before the upstream is there, then passes bytes both ways', () => {
    const session = new Session().open();
    session.down.client.writeText('hello');
    session.run();
    expect(session.down.server.bytesRead).toBe(0);
    session.connected().run();
    expect(session.server.take()).toBe('hello');
    expect(session.resumed).toBe(1);
    session.up.server.writeText('welcome');
    session.run();
    expect(session.client.take()).toBe('welcome');
    expect(session.context.stats.used()).toEqual({
      'tcp.ingress.downstream_cx_total': 1,
      'tcp.ingress.downstream_cx_rx_bytes_total': 5,
      'tcp.ingress.downstream_cx_tx_bytes_total': 7,
    });
  });

  test('a connection that is there at once does not pause the chain', () => {
    const session = new Session();
    session.cluster.immediately = ({ callbacks, host }) => callbacks.onPoolReady(session.up.client, host);
    expect(session.filter.onNewConnection?.()).toBeUndefined();
    expect(session.resumed).toBe(0);
    expect(session.down.server.readingPaused).toBe(false);
  });

  test('the connection is asked for what the cluster takes from the downstream one, each time anew', () => {
    const session = new Session({ maxConnectAttempts: 2 });
    const asked: unknown[] = [];
    session.cluster.info.transportOptions = (headers, info) => {
      asked.push(headers, info);
      return { key: `try ${asked.length / 2}` } as TransportOptions;
    };
    session.open().failed('timeout').context.clock.advance(0);
    expect(session.cluster.attempts.map(({ transport }) => transport?.key)).toEqual(['try 1', 'try 2']);
    expect(asked).toEqual([undefined, session.info, undefined, session.info]);
  });

  test('what the transport knows of itself is in the log', () => {
    const session = new Session().open();
    const tls = { version: 'TLSv1.3' } as TlsInfo;
    Object.assign(session.up.client.info, { tls, handshakeComplete: 12 });
    session.connected();
    expect([session.info.upstreamTls, session.info.upstreamHandshakeComplete]).toEqual([tls, 12]);
  });

  test('a downstream that goes away gives up the attempt', () => {
    const session = new Session().open();
    session.down.server.close('now');
    session.run();
    expect(session.cluster.attempts[0]?.cancelled).toBe(true);
    expect(session.context.clock.pendingTimers).toBe(0);
  });

  test.each([
    ['no such cluster', 'NC', 'tcp_initializion_failure:3'],
    ['no host', 'UH', 'tcp_initializion_failure:1'],
    ['overflow', 'UO', 'tcp_initializion_failure:2'],
    ['refused', 'UF,URX', 'tcp_initializion_failure:0'],
    ['timeout', 'UF,URX', 'tcp_initializion_failure:0'],
    ['local failure', 'URX', 'tcp_initializion_failure:0'],
  ])('%s: %s', (what, flags, details) => {
    const session = new Session(
      what === 'no such cluster' ? { clusterSpecifier: { case: 'cluster', value: 'other' } } : {},
      { hosts: what === 'no host' ? [] : ['10.0.0.1:80'] },
    );
    session.open();
    if (what === 'overflow') session.failed('overflow');
    if (what === 'refused') session.failed('remote-connection-failure', 'Connection refused');
    if (what === 'timeout') session.failed('timeout');
    if (what === 'local failure') session.failed('local-connection-failure');
    session.run();
    expect(session.down.server.open).toBe(false);
    expect(responseFlagsShort(session.flags)).toBe(flags);
    expect(session.info.connectionTerminationDetails).toBe(details);
    expect(session.stat('downstream_cx_no_route')).toBe(what === 'no such cluster' ? 1 : 0);
    if (flags.includes('URX'))
      expect(session.context.stats.value('cluster.service.upstream_cx_connect_attempts_exceeded')).toBe(1);
  });

  test('a failed attempt is followed by one on the next host, up to the limit', () => {
    const hosts = ['10.0.0.1:80', '10.0.0.2:80', '10.0.0.3:80'];
    const session = new Session({ maxConnectAttempts: 3 }, { hosts }).open();
    session.failed('remote-connection-failure', 'Connection refused');
    expect(session.cluster.attempts).toHaveLength(1);
    session.context.clock.advance(0);
    session.failed('timeout');
    session.context.clock.advance(0);
    expect(session.cluster.attempts.map((attempt) => attempt.host.address.text)).toEqual(hosts);
    session.down.client.writeText('x');
    session.connected().run();
    expect(session.server.take()).toBe('x');
    expect(session.info.upstreamRequestAttemptCount).toBe(3);
    expect(session.info.upstreamHost?.address.text).toBe('10.0.0.3:80');
    expect(session.info.hasResponseFlag(ResponseFlag.UpstreamRetryLimitExceeded)).toBe(false);
  });

  test('no attempt follows once the downstream is closed', () => {
    const session = new Session({ maxConnectAttempts: 2 }).open();
    session.failed('remote-connection-failure');
    session.down.server.close('now');
    session.context.clock.advance(10);
    expect(session.cluster.attempts).toHaveLength(1);
  });
});

describe('choosing', () => {
  test('by weight', () => {
    const used: string[] = [];
    for (const draw of [0, 1, 2, 3, 4]) {
      const session = new Session(
        {
          clusterSpecifier: {
            case: 'weightedClusters',
            value: {
              clusters: [
                { name: 'a', weight: 1 },
                { name: 'b', weight: 3 },
              ],
            },
          },
        },
        {
          context: { random: new ScriptedRandom([draw]) as never },
          clusters: (cluster) => ({
            get: (name) => {
              used.push(name);
              return cluster;
            },
            clusterNames: [],
          }),
        },
      );
      session.open();
    }
    expect(used).toEqual(['a', 'b', 'b', 'b', 'a']);
  });

  test('an earlier filter names the cluster', () => {
    const session = new Session(
      { clusterSpecifier: { case: 'cluster', value: 'other' } },
      { prepare: (info) => info.filterState.set('envoy.tcp_proxy.cluster', { toText: () => 'service' }) },
    ).open();
    expect(session.cluster.attempts).toHaveLength(1);
    expect(session.info.upstreamCluster).toBe('service');
  });

  test('metadata of the config, of a weighted cluster and of earlier filters is merged, in this order', () => {
    const session = new Session(
      {
        metadataMatch: { filterMetadata: { 'envoy.lb': { a: 1, b: 1, c: 1 } } },
        clusterSpecifier: {
          case: 'weightedClusters',
          value: {
            clusters: [
              {
                name: 'service',
                weight: 1,
                metadataMatch: { filterMetadata: { 'envoy.lb': { b: 2, c: 2 } } },
              },
            ],
          },
        },
      },
      { prepare: (info) => info.dynamicMetadata.set('envoy.lb', { c: 3 }) },
    ).open();
    expect(session.cluster.contexts[0]?.metadataMatch).toEqual({ a: 1, b: 2, c: 3 });
  });

  test.each([
    ['source_ip', { case: 'sourceIp' as const, value: {} }, xxHash64('192.0.2.1')],
    ['filter_state', { case: 'filterState' as const, value: { key: 'k' } }, { high: 1, low: 2 }],
    ['filter_state that is not there', { case: 'filterState' as const, value: { key: 'other' } }, undefined],
    ['filter_state that has no hash', { case: 'filterState' as const, value: { key: 'plain' } }, undefined],
    ['nothing', undefined, undefined],
  ])('hosts are picked by the hash of %s', (_name, policySpecifier, hash) => {
    const session = new Session(policySpecifier === undefined ? {} : { hashPolicy: [{ policySpecifier }] }, {
      prepare: (info) => {
        info.filterState.set('k', { hash: () => ({ high: 1, low: 2 }) });
        info.filterState.set('plain', {});
      },
    }).open();
    expect(session.cluster.contexts[0]?.hash).toEqual(hash);
  });
});

describe('how connections end', () => {
  const joined = () => new Session().open().connected();

  test('the end of either side is passed on while the other goes on', () => {
    const session = joined();
    session.down.client.writeText('request');
    session.down.client.end();
    session.run();
    expect(session.server.events).toEqual(['data:7', 'end']);
    session.up.server.writeText('response');
    session.run();
    expect(session.client.text).toBe('response');
    session.up.server.end();
    session.run();
    expect(session.client.events.slice(0, 2)).toEqual(['data:8', 'end']);
    expect(session.down.server.open).toBe(false);
    expect(session.up.client.open).toBe(false);
    expect(responseFlagsShort(session.flags)).toBe('-');
    expect(session.context.clock.pendingTimers).toBe(0);
  });

  test('the upstream may end first', () => {
    const session = joined();
    session.up.server.writeText('banner');
    session.up.server.end();
    session.run();
    expect(session.client.events).toEqual(['data:6', 'end']);
    session.down.client.writeText('late');
    session.run();
    expect(session.server.text).toBe('late');
    session.down.client.end();
    session.run();
    expect(session.up.client.open).toBe(false);
    expect(session.down.server.open).toBe(false);
  });

  test('a reset downstream resets upstream', () => {
    const session = joined();
    session.down.client.close('reset');
    session.run();
    expect(session.server.events).toEqual(['close:remote:connection reset by peer']);
    expect(session.up.client.info.terminationDetails).toBe(
      'closing_upstream_tcp_connection_due_to_downstream_reset_close',
    );
  });

  test('a reset upstream resets downstream', () => {
    const session = joined();
    session.up.server.close('reset');
    session.run();
    expect(session.client.events).toEqual(['close:remote:connection reset by peer']);
    expect(responseFlagsShort(session.flags)).toBe('UR');
  });

  test('a local close takes the upstream with it', () => {
    const session = joined();
    session.down.server.close('now');
    session.run();
    expect(session.up.client.open).toBe(false);
    expect(session.up.client.info.terminationDetails).toBe(
      'closing_upstream_tcp_connection_due_to_downstream_local_close',
    );
  });
});

describe('flow control', () => {
  const big = Buffer.alloc(100_000, 'b');

  test.each([true, false])('stops reading while the other side is behind (chunks held: %s)', (holdable) => {
    const session = new Session({}, { highWatermarkBytes: 50_000, holdable }).open().connected();
    session.up.server.pauseReading();
    session.down.client.writeBody(big, false);
    session.down.client.writeBody(big, false);
    session.run();
    expect(session.down.server.readingPaused).toBe(true);
    expect(session.stat('downstream_flow_control_paused_reading_total')).toBe(1);
    expect(session.stat('downstream_flow_control_resumed_reading_total')).toBe(0);
    expect(session.stat('downstream_cx_rx_bytes_buffered') > 0).toBe(holdable);
    session.up.server.resumeReading();
    session.run();
    expect(session.server.bytes.equals(Buffer.concat([big, big]))).toBe(true);
    expect(session.down.server.readingPaused).toBe(false);
    expect(session.stat('downstream_cx_rx_bytes_buffered')).toBe(0);
    expect(session.stat('downstream_flow_control_resumed_reading_total')).toBe(
      session.stat('downstream_flow_control_paused_reading_total'),
    );
  });

  test('the other way it is counted on the cluster', () => {
    const session = new Session({}, { highWatermarkBytes: 50_000 }).open().connected();
    session.down.client.pauseReading();
    session.up.server.writeBody(big, false);
    session.run();
    expect(session.stat('downstream_cx_tx_bytes_buffered')).toBe(100_000);
    session.down.client.resumeReading();
    session.run();
    expect(session.client.bytes.equals(big)).toBe(true);
    expect(session.stat('downstream_cx_tx_bytes_buffered')).toBe(0);
    const { stats } = session.context;
    expect(stats.value('cluster.service.upstream_flow_control_paused_reading_total')).toBe(1);
    expect(stats.value('cluster.service.upstream_flow_control_resumed_reading_total')).toBe(1);
  });

  test('bytes cut anywhere arrive in order', () => {
    const session = new Session({}, { chunkBytes: 1, highWatermarkBytes: 3 }).open().connected();
    session.down.client.writeText('to the server');
    session.up.server.writeText('to the client');
    session.run();
    expect([session.server.text, session.client.text]).toEqual(['to the server', 'to the client']);
  });

  test('what is buffered does not count once the connection is gone', () => {
    const session = new Session({}, { highWatermarkBytes: 50_000 }).open().connected();
    session.up.server.pauseReading();
    session.down.client.writeBody(big, false);
    session.run();
    session.down.server.close('now');
    session.run();
    expect(session.stat('downstream_cx_rx_bytes_buffered')).toBe(0);
    expect(session.stat('downstream_cx_tx_bytes_buffered')).toBe(0);
  });
});

describe('timeouts', () => {
  test('a connection without bytes for the idle timeout is closed', () => {
    const session = new Session({ idleTimeout: durationFromMs(1000) }).open().connected();
    session.context.clock.advance(900);
    session.up.server.writeText('x');
    session.run();
    session.context.clock.advance(999);
    expect(session.down.server.open).toBe(true);
    session.context.clock.advance(2);
    session.run();
    expect(session.down.server.open).toBe(false);
    expect(session.up.client.open).toBe(false);
    expect(session.stat('idle_timeout')).toBe(1);
    expect(session.info.connectionTerminationDetails).toBe('tcp_session_idle_timeout');
  });

  test('it also bounds the wait for an upstream', () => {
    const session = new Session({ idleTimeout: durationFromMs(1000) }).open();
    session.context.clock.advance(1000);
    session.run();
    expect(session.cluster.attempts[0]?.cancelled).toBe(true);
    expect(session.stat('idle_timeout')).toBe(1);
  });

  test('0 turns it off', () => {
    const session = new Session({ idleTimeout: durationFromMs(0) }).open().connected();
    expect(session.context.clock.pendingTimers).toBe(0);
  });

  test('a connection lives no longer than the maximum, whatever it does', () => {
    const session = new Session({ maxDownstreamConnectionDuration: durationFromMs(5000) }).open().connected();
    for (let i = 0; i < 5; i++) {
      session.down.client.writeText('x');
      session.run();
      session.context.clock.advance(999);
    }
    expect(session.down.server.open).toBe(true);
    session.context.clock.advance(5);
    session.run();
    expect(session.down.server.open).toBe(false);
    expect(session.stat('max_downstream_connection_duration')).toBe(1);
    expect(responseFlagsShort(session.flags)).toBe('DT');
    expect(session.info.connectionTerminationDetails).toBe('max_connection_duration_reached');
  });

  test('jitter lengthens it by up to its percentage', () => {
    const session = new Session({
      idleTimeout: durationFromMs(0),
      maxDownstreamConnectionDuration: durationFromMs(1000),
      maxDownstreamConnectionDurationJitterPercentage: { value: 50 },
    }).open();
    const delay = session.context.clock.nextTimerInMs as number;
    expect(delay).toBeGreaterThan(1000);
    expect(delay).toBeLessThanOrEqual(1500);
  });
});

describe('access logs', () => {
  const accessLog = [{ name: 'envoy.access_loggers.stdout' }];

  test('an entry at the end says where the bytes went', () => {
    const session = new Session({ accessLog }).open();
    session.context.clock.advance(5);
    session.connected();
    session.down.client.writeText('12345');
    session.up.server.writeText('123');
    session.run();
    session.down.client.close('reset');
    session.run();
    expect(session.context.logged.map(({ type }) => type)).toEqual(['TcpConnectionEnd']);
    const { info } = session;
    expect(info).toMatchObject({ bytesReceived: 5, bytesSent: 3, upstreamCluster: 'service' });
    expect(info).toMatchObject({ upstreamWireBytesSent: 5, upstreamWireBytesReceived: 3 });
    expect(info.upstreamHost?.address.text).toBe('10.0.0.1:80');
    expect(info.upstreamRemoteAddress).toBe(session.up.client.info.remoteAddress);
    expect(info.upstreamConnectionId).toBe(session.up.client.info.id);
    expect(info.upstreamConnectComplete - info.upstreamConnectStart).toBe(5);
    expect(info.end).toBeGreaterThan(info.start);
  });

  test('entries on connecting and at intervals', () => {
    const session = new Session({
      accessLog,
      accessLogOptions: { flushAccessLogOnConnected: true, accessLogFlushInterval: durationFromMs(1000) },
    }).open();
    session.connected().run();
    session.context.clock.advance(2500);
    session.down.client.close('reset');
    session.run();
    session.context.clock.advance(5000);
    expect(session.context.logged.map(({ type }) => type)).toEqual([
      'TcpUpstreamConnected',
      'TcpPeriodic',
      'TcpPeriodic',
      'TcpConnectionEnd',
    ]);
  });

  test('a connection that got no upstream is logged too', () => {
    const session = new Session({ accessLog }, { hosts: [] }).open().run();
    expect(session.context.logged).toHaveLength(1);
    expect(session.context.stats.used()).toEqual({ 'tcp.ingress.downstream_cx_total': 1 });
  });
});

test('a fake cluster serves its hosts in turn', () => {
  const cluster = new FakeCluster('c', new Session().context.stats, ['10.0.0.1:1', '10.0.0.2:1']);
  const texts = [1, 2, 3].map(() => cluster.chooseHost(undefined)?.address.text);
  expect(texts).toEqual(['10.0.0.1:1', '10.0.0.2:1', '10.0.0.1:1']);
});
