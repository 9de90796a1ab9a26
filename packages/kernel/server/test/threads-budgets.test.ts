import {
  eventually,
  Gate,
  HttpUpstream,
  type JsonObject,
  loadAssignment,
  type TestProxy,
  text,
} from '@dragoman/testing';
import { expect, test } from 'vitest';
import {
  closeAll,
  connectTo,
  connectToEach,
  replaced,
  startOnThreads,
  threadBootstrap,
  type WorkerConnection,
} from './support/thread-proxy.ts';

/** Paths that begin with /held wait at the gate. */
const heldUpstream = (gate: Gate): Promise<HttpUpstream> =>
  HttpUpstream.start(async (exchange) => {
    if (exchange.request.path.startsWith('/held')) await gate.pass();
    await text('x')(exchange);
  });

const startWith = (port: number, thresholds: JsonObject, workers: number): Promise<TestProxy> =>
  startOnThreads(
    threadBootstrap({
      clusters: {
        web: {
          load_assignment: loadAssignment('web', [port]),
          circuit_breakers: { thresholds: [{ track_remaining: true, ...thresholds }] },
        },
      },
    }),
    { concurrency: workers },
  );

const breaker = (proxy: TestProxy, ...gauges: string[]): number[] =>
  gauges.map((gauge) => proxy.stat(`cluster.web.circuit_breakers.default.${gauge}`));

/** Connections with one worker, each with a request under way. */
async function hold(proxy: TestProxy, worker: number, count: number): Promise<WorkerConnection[]> {
  const connections: WorkerConnection[] = [];
  for (let i = 0; i < count; i++) {
    const connection = await connectTo(proxy, worker);
    connection.send(`/held/${worker}-${i}`);
    connections.push(connection);
  }
  return connections;
}

const statusOf = async (connection: WorkerConnection, path = '/'): Promise<number> => {
  connection.send(path);
  return (await connection.client.readResponse()).status;
};

test.for([1, 2, 6])('max_connections: %i with four workers', async (limit) => {
  const gate = new Gate();
  await using upstream = await heldUpstream(gate);
  await using proxy = await startWith(upstream.port, { max_connections: limit }, 4);
  const held = (await Promise.all([0, 1, 2, 3].map((worker) => hold(proxy, worker, 4)))).flat();
  await eventually(
    () =>
      proxy.stat('cluster.web.upstream_rq_pending_active') + proxy.stat('cluster.web.upstream_rq_active') ===
      16,
  );
  await gate.reached(Math.max(limit, 4));
  // One a worker may come on top: the first of its pool, and two that take the last of it in the same instant.
  expect(upstream.openConnections).toBeGreaterThanOrEqual(Math.max(limit, 4));
  expect(upstream.openConnections).toBeLessThanOrEqual(limit + 4);
  expect(proxy.stat('cluster.web.upstream_cx_active')).toBe(upstream.openConnections);
  expect(breaker(proxy, 'cx_open', 'remaining_cx')).toEqual([1, 0]);
  expect(proxy.stat('cluster.web.upstream_cx_overflow')).toBeGreaterThan(0);
  // Nobody starves: those that wait are served by their own worker's connections.
  gate.open();
  for (const { client } of held) expect((await client.readResponse()).status).toBe(200);
  expect(upstream.connectionCount).toBeLessThanOrEqual(limit + 4);
  await closeAll(held);
});

test('a request is served though another worker holds the whole budget with idle connections', async () => {
  const gate = new Gate();
  await using upstream = await heldUpstream(gate);
  await using proxy = await startWith(upstream.port, { max_connections: 2 }, 2);
  expect(breaker(proxy, 'cx_open', 'remaining_cx')).toEqual([0, 2]);
  const held = await hold(proxy, 0, 2);
  await gate.reached(2);
  gate.open();
  for (const { client } of held) await client.readResponse();
  expect(breaker(proxy, 'cx_open', 'remaining_cx')).toEqual([1, 0]);
  await using other = await connectTo(proxy, 1);
  expect(await statusOf(other)).toBe(200);
  expect(proxy.stat('cluster.web.upstream_cx_active')).toBe(3);
  expect(breaker(proxy, 'cx_open', 'remaining_cx')).toEqual([1, 0]);
  await closeAll(held);
});

test('max_requests holds across workers, and comes back with the death of one', async () => {
  const gate = new Gate();
  await using upstream = await heldUpstream(gate);
  await using proxy = await startWith(upstream.port, { max_requests: 3 }, 2);
  const [first, second] = (await connectToEach(proxy, 2)) as [WorkerConnection, WorkerConnection];
  // Connections first: a request that has one is refused before it waits.
  expect([await statusOf(first), await statusOf(second)]).toEqual([200, 200]);
  const held = await hold(proxy, 0, 3);
  await gate.reached(3);
  expect(breaker(proxy, 'rq_open', 'remaining_rq')).toEqual([1, 0]);
  expect(await statusOf(second)).toBe(503);
  expect(proxy.stat('cluster.web.upstream_rq_pending_overflow')).toBe(1);

  await first.ask('/throw');
  await replaced(proxy, 1);
  expect(breaker(proxy, 'rq_open', 'remaining_rq', 'cx_open')).toEqual([0, 3, 0]);
  expect([await statusOf(second), await statusOf(second)]).toEqual([200, 200]);
  expect(proxy.stat('cluster.web.upstream_rq_active')).toBe(0);
  // The successor counts on the same page.
  const again = await hold(proxy, 0, 2);
  await gate.reached(5);
  expect(breaker(proxy, 'remaining_rq')).toEqual([1]);
  gate.open();
  for (const { client } of again) expect((await client.readResponse()).status).toBe(200);
  await eventually(() => expect(breaker(proxy, 'rq_open', 'remaining_rq')).toEqual([0, 3]));
  await closeAll([first, second, ...held, ...again]);
});

test('a runtime key moves max_requests on every worker', async () => {
  const gate = new Gate();
  await using upstream = await heldUpstream(gate);
  await using proxy = await startOnThreads(
    threadBootstrap({
      clusters: {
        web: {
          load_assignment: loadAssignment('web', [upstream.port]),
          circuit_breakers: { thresholds: [{ track_remaining: true, max_requests: 1 }] },
        },
      },
      bootstrap: { layered_runtime: { layers: [{ name: 'admin', admin_layer: {} }] } },
    }),
    { concurrency: 2 },
  );
  const [first, second] = (await connectToEach(proxy, 2)) as [WorkerConnection, WorkerConnection];
  expect([await statusOf(first), await statusOf(second)]).toEqual([200, 200]);
  const held = await hold(proxy, 0, 1);
  await gate.reached(1);
  expect([await statusOf(second), ...breaker(proxy, 'rq_open', 'remaining_rq')]).toEqual([503, 1, 0]);
  const modify = (value: string) =>
    proxy.admin(`/runtime_modify?circuit_breakers.web.default.max_requests=${value}`, 'POST');
  await modify('3');
  expect(breaker(proxy, 'rq_open', 'remaining_rq')).toEqual([0, 2]);
  await eventually(async () => expect(await statusOf(second)).toBe(200));
  await modify('');
  await eventually(async () => expect(await statusOf(second)).toBe(503));
  gate.open();
  await closeAll([first, second, ...held]);
});

test('max_pending_requests holds across workers', async () => {
  const gate = new Gate();
  await using upstream = await heldUpstream(gate);
  await using proxy = await startWith(upstream.port, { max_connections: 1, max_pending_requests: 1 }, 2);
  const held = await hold(proxy, 0, 1);
  await gate.reached(1);
  const waiting = await hold(proxy, 0, 1);
  await proxy.untilStat('cluster.web.upstream_rq_pending_active', 1);
  expect(breaker(proxy, 'rq_pending_open', 'remaining_pending')).toEqual([1, 0]);
  await using other = await connectTo(proxy, 1);
  expect(await statusOf(other)).toBe(503);
  gate.open();
  for (const { client } of [...held, ...waiting]) expect((await client.readResponse()).status).toBe(200);
  expect(breaker(proxy, 'rq_pending_open', 'remaining_pending')).toEqual([0, 1]);
  expect(await statusOf(other)).toBe(200);
  await closeAll([...held, ...waiting]);
});
