import { createServer, type RequestListener, type Server } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { eventually } from '@dragoman/testing';
import { expect } from 'vitest';
import { bootstrap, cluster, httpListener, type Message, prefixRoute } from './config.ts';
import { stats } from './draining.ts';
import { Sidecar } from './sidecar.ts';
import { SteadyLoad } from './steady-load.ts';

/** A server that can be killed, and come back at the same port. */
class MortalUpstream implements AsyncDisposable {
  port = 0;
  private readonly listener: RequestListener;
  private server: Server | undefined = undefined;

  private constructor(listener: RequestListener) {
    this.listener = listener;
  }

  static async start(listener: RequestListener): Promise<MortalUpstream> {
    const upstream = new MortalUpstream(listener);
    await upstream.revive();
    return upstream;
  }

  async revive(): Promise<void> {
    const server = createServer({ keepAliveTimeout: 600_000 }, this.listener);
    await new Promise<void>((resolve) => server.listen(this.port, '127.0.0.1', resolve));
    this.port = (server.address() as { port: number }).port;
    this.server = server;
  }

  async kill(): Promise<void> {
    const { server } = this;
    this.server = undefined;
    if (server === undefined) return;
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }
}

const PREVIOUS_HOSTS = {
  name: 'envoy.retry_host_predicates.previous_hosts',
  typed_config: {
    '@type': 'type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate',
  },
};

function config(ports: readonly number[]): Message {
  const route = prefixRoute('/', 'upstream', {
    retry_policy: {
      retry_on: '5xx,reset,connect-failure',
      num_retries: 6,
      retry_host_predicate: [PREVIOUS_HOSTS],
      host_selection_retry_max_attempts: 5,
      retry_back_off: { base_interval: '0.005s', max_interval: '0.05s' },
    },
  });
  const upstream = cluster('upstream', ports, {
    common_lb_config: { update_merge_window: '0.1s' },
    circuit_breakers: { thresholds: [{ max_retries: 1000 }] },
    health_checks: [
      {
        timeout: '1s',
        interval: '0.25s',
        no_traffic_interval: '0.25s',
        unhealthy_threshold: 2,
        healthy_threshold: 2,
        http_health_check: { path: '/health' },
      },
    ],
    outlier_detection: {
      consecutive_5xx: 5,
      interval: '0.25s',
      base_ejection_time: '0.5s',
      max_ejection_percent: 50,
      successful_active_health_check_uneject_host: false,
    },
  });
  return bootstrap([httpListener({ routes: [route] })], [upstream]);
}

/**
 * Three upstreams under load: the first is killed and comes back, the second is slow, the third fails for a while, again and again. No request
 * may fail that the retry policy can save; what happened must be told by stats and `/clusters`.
 */
export async function throughTrouble(ms: number, workers: number): Promise<void> {
  let failing = false;
  await using mortal = await MortalUpstream.start((_, response) => response.end('ok'));
  await using slow = await MortalUpstream.start((_, response) => {
    setTimeout(() => response.end('ok'), 80);
  });
  await using flapping = await MortalUpstream.start((request, response) => {
    // Its health checks find nothing: only its answers tell.
    response.statusCode = failing && request.url !== '/health' ? 503 : 200;
    response.end('ok');
  });
  const ports = [mortal.port, slow.port, flapping.port];
  await using sidecar = await Sidecar.serve(config(ports), ['--concurrency', `${workers}`]);
  const healthyCount = async () => (await stats(sidecar, 'cluster.upstream.membership_healthy'))[0];
  await eventually(async () => expect(await healthyCount()).toBe(3));
  const load = new SteadyLoad({
    target: { port: await sidecar.port() },
    fresh: 4,
    keptAlive: 12,
    rate: 40,
  });
  const flaps = setInterval(() => {
    failing = !failing;
  }, ms / 12);
  try {
    await delay(ms / 6);
    await mortal.kill();
    await eventually(async () => expect(await flagsOf(sidecar, mortal.port)).toContain('/failed_active_hc'));
    await delay(ms / 2);
    await mortal.revive();
    await eventually(async () => expect(await flagsOf(sidecar, mortal.port)).toBe('healthy'));
    await delay(ms / 6);
  } finally {
    clearInterval(flaps);
    failing = false;
    await load.stop();
  }
  expect(load.failures).toEqual([]);
  expect(load.answered).toBeGreaterThan(ms / 10);
  const told = await stats(
    sidecar,
    'cluster.upstream.upstream_rq_retry_success',
    'cluster.upstream.health_check.failure',
    'cluster.upstream.outlier_detection.ejections_enforced_consecutive_5xx',
    'cluster.upstream.retry.upstream_rq_503',
  );
  for (const count of told) expect(count).toBeGreaterThan(0);
  await eventually(async () => {
    expect(await healthyCount()).toBe(3);
    expect(await stats(sidecar, 'cluster.upstream.outlier_detection.ejections_active')).toEqual([0]);
    for (const port of ports) expect(await flagsOf(sidecar, port)).toBe('healthy');
  });
}

/** `health_flags` of `/clusters`. */
async function flagsOf(sidecar: Sidecar, port: number): Promise<string | undefined> {
  const { body } = await sidecar.admin('/clusters');
  return new RegExp(`^upstream::127\\.0\\.0\\.1:${port}::health_flags::(.*)$`, 'm').exec(
    body.toString(),
  )?.[1];
}
