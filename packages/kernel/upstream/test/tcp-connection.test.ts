import type {
  Connection,
  ConnectionHandler,
  Host,
  PoolFailureReason,
  TcpPoolCallbacks,
} from '@dragoman/core';
import { expect, it } from 'vitest';
import { type World, world } from './support/clusters.ts';
import { settleCloses } from './support/fake-upstream.ts';

class Caller implements TcpPoolCallbacks, ConnectionHandler {
  readonly events: string[] = [];
  connection: Connection | undefined;
  failedHost: Host | undefined;

  onPoolReady(connection: Connection): void {
    this.connection = connection;
    connection.setHandler(this);
    this.events.push('ready');
  }

  onPoolFailure(reason: PoolFailureReason, details: string, host: Host | undefined): void {
    this.failedHost = host;
    this.events.push(`failed:${reason}:${details}`);
  }

  onData(data: Buffer): void {
    this.events.push(`data:${data.toString()}`);
  }

  onEnd(): void {
    this.events.push('end');
  }

  onWritable(): void {
    this.events.push('writable');
  }

  onClose(kind: string, reason: string): void {
    this.events.push(`close:${kind}:${reason}`);
  }
}

function open(from: World) {
  const caller = new Caller();
  const waiting = from.cluster.newTcpConnection(
    from.cluster.chooseHost(undefined) as Host,
    'default',
    caller,
  );
  return { caller, waiting };
}

it('hands over a connection, passes everything through and counts its end', () => {
  const here = world();
  const { caller } = open(here);
  here.clock.advance(4);
  const socket = here.connector.last;
  socket.accept();
  socket.receive('hello');
  socket.drained();
  socket.end_();
  expect(here.counts()).toEqual({
    upstream_cx_total: 1,
    upstream_cx_active: 1,
    upstream_rq_total: 1,
    upstream_rq_active: 1,
    upstream_rq_pending_total: 1,
  });
  expect(caller.connection?.info).toBe(socket.info);
  expect(caller.connection?.open).toBe(true);
  caller.connection?.release();
  caller.connection?.release(false);
  expect(socket.released).toEqual([undefined, false]);
  here.clock.advance(6);
  caller.connection?.close('flush');
  expect(socket.closeMode).toBe('flush');
  settleCloses();
  expect(caller.events).toEqual(['ready', 'data:hello', 'writable', 'end', 'close:local:']);
  expect(here.counts()).toMatchObject({ upstream_cx_destroy_local: 1 });
  expect(here.counts()).not.toHaveProperty('upstream_cx_destroy_local_with_active_rq');
  expect(here.counts()['upstream_cx_active']).toBeUndefined();
  expect(here.stats.recorded('cluster.web.upstream_cx_connect_ms')).toEqual([4]);
  expect(here.stats.recorded('cluster.web.upstream_cx_length_ms')).toEqual([10]);
  expect(here.clock.pendingTimers).toBe(0);
});

it('fails when the host refuses, with the reason', () => {
  const here = world();
  const { caller } = open(here);
  here.connector.last.lose('Connection refused');
  expect(caller.events).toEqual(['failed:remote-connection-failure:Connection refused']);
  expect(caller.failedHost?.address.text).toBe('10.0.0.1:80');
  expect(here.counts()).toMatchObject({ upstream_cx_connect_fail: 1, upstream_rq_pending_failure_eject: 1 });
  expect(here.clock.pendingTimers).toBe(0);
});

it('fails after connect_timeout', () => {
  const here = world({ connect_timeout: '1s' });
  const { caller } = open(here);
  here.clock.advance(1000);
  settleCloses();
  expect(caller.events).toEqual(['failed:timeout:']);
  expect(here.counts()).toMatchObject({ upstream_cx_connect_timeout: 1 });
});

it('says nothing any more to a caller that gave up', () => {
  const here = world();
  const { caller, waiting } = open(here);
  waiting?.cancel();
  waiting?.cancel();
  settleCloses();
  expect(caller.events).toEqual([]);
  expect(here.counts()).toMatchObject({ upstream_rq_cancelled: 1 });
  expect(here.counts()['upstream_cx_active']).toBeUndefined();
  expect(here.counts()['upstream_rq_pending_active']).toBeUndefined();
});

it('refuses above max_connections and max_pending_requests', () => {
  const here = world({ circuit_breakers: { thresholds: [{ max_connections: 1 }] } });
  open(here);
  const refused = open(here).caller;
  expect(refused.events).toEqual([
    'failed:overflow:circuit_breakers.thresholds[DEFAULT].max_connections of cluster web is reached: 1',
  ]);
  expect(refused.failedHost).toBeUndefined();
  expect(here.counts()).toMatchObject({ upstream_cx_overflow: 1 });
  const strict = world({ circuit_breakers: { thresholds: [{ max_pending_requests: 0 }] } });
  const overflowed = open(strict).caller;
  expect(overflowed.events).toEqual([
    'failed:overflow:circuit_breakers.thresholds[DEFAULT].max_pending_requests of cluster web is reached: 0',
  ]);
  expect(overflowed.failedHost).toBeUndefined();
  expect(strict.counts()).toMatchObject({ upstream_rq_pending_overflow: 1 });
});

it('counts a source address that this machine does not have', () => {
  const here = world({ upstream_bind_config: { source_address: { address: '10.9.9.9', port_value: 0 } } });
  open(here);
  expect(here.connector.last.options.bindAddress?.text).toBe('10.9.9.9:0');
  here.connector.last.lose('Cannot assign requested address');
  expect(here.counts()).toMatchObject({ bind_errors: 1 });
});
