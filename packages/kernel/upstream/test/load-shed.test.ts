import type { Host, TcpPoolCallbacks } from '@dragoman/core';
import { describe, expect, it } from 'vitest';
import { httpOptions, type World, world } from './support/clusters.ts';
import { FakeRequest, settleCloses } from './support/fake-upstream.ts';

/** A cluster whose pools ask before they open a connection; `shed` is what they are told. */
function shedding(config: object = {}): World & { shed: boolean } {
  const state = { shed: true };
  const here = world(config, { newConnection: { shouldShed: () => state.shed } });
  return Object.assign(state, here);
}

function send(from: World): FakeRequest {
  const request = new FakeRequest();
  from.cluster.httpPool(from.cluster.chooseHost(undefined) as Host, 'default').newStream(request, request);
  return request;
}

describe.each([
  ['HTTP/1', {}],
  ['HTTP/2', httpOptions({ explicit_http_config: { http2_protocol_options: {} } })],
])('an overloaded proxy, %s', (_, config) => {
  it('fails a request that no connection could take', () => {
    const here = shedding(config);
    expect(send(here).events).toEqual(['failed:overflow']);
    expect(here.connector.connections).toEqual([]);
    expect(here.counts()).toEqual({ upstream_rq_pending_overflow: 1, upstream_rq_pending_total: 1 });
    here.shed = false;
    const next = send(here);
    expect([next.events, here.connector.connections.length]).toEqual([[], 1]);
  });

  it('lets a request wait for a connection that is on its way', () => {
    const here = shedding(config);
    here.shed = false;
    const first = send(here);
    here.shed = true;
    const second = send(here);
    expect([first.events, second.events, here.connector.connections.length]).toEqual([[], [], 1]);
  });

  it('fails those that wait when the last connection ends', async () => {
    const here = shedding(config);
    here.shed = false;
    const first = send(here);
    here.connector.last.accept();
    here.connector.last.receive('settings:1');
    expect(first.events[0]).toBe('ready');
    here.shed = true;
    const waiting = send(here);
    expect(waiting.events).toEqual([]);
    here.connector.last.lose();
    await settleCloses();
    expect(waiting.events).toEqual(['failed:overflow']);
    expect(here.counts()['upstream_rq_pending_active']).toBeUndefined();
  });
});

it('opens no TCP connection either', () => {
  const here = shedding();
  const events: string[] = [];
  const caller = {
    onPoolReady: () => void events.push('ready'),
    onPoolFailure: (reason: string) => void events.push(reason),
  } as TcpPoolCallbacks;
  const open = () =>
    here.cluster.newTcpConnection(here.cluster.chooseHost(undefined) as Host, 'default', caller);
  expect(open()).toBeUndefined();
  expect([events, here.connector.connections]).toEqual([['overflow'], []]);
  here.shed = false;
  open();
  expect(here.connector.connections.length).toBe(1);
});
