import {
  eventually,
  HttpUpstream,
  httpBootstrap,
  type RawConnection,
  requestText,
  startProxy,
  text,
} from '@dragoman/testing';
import { expect, test } from 'vitest';
import { cluster, filter } from './config-parts.ts';
import { extensions } from './thread-extensions.ts';

const WORKERS = 2;

test('each worker resolves for itself, and the admin interface shows the hosts of all', async () => {
  await using upstream = await HttpUpstream.start(text('here'));
  const bootstrap = httpBootstrap({ clusters: { anywhere: cluster() }, httpFilters: [filter()] });
  await using proxy = await startProxy(bootstrap, {
    extensions,
    threads: { extensions: new URL('./thread-extensions.ts', import.meta.url) },
    flags: { concurrency: WORKERS },
  });
  const accepted = (worker: number) =>
    proxy.stat(`listener.127.0.0.1_0.worker_${worker}.downstream_cx_total`);
  const open: RawConnection[] = [];
  // Until every worker has accepted one.
  while (open.length < 200 && [...Array(WORKERS).keys()].some((worker) => accepted(worker) === 0)) {
    const client = await proxy.connect();
    open.push(client);
    await client.write(requestText('GET', '/', [`host: 127.0.0.1:${upstream.port}`]));
    const response = await client.readResponse();
    expect(response.body.toString()).toBe('here');
  }
  await eventually(() => {
    expect(proxy.stat('dns_cache.main.dns_query_attempt')).toBe(WORKERS);
    expect(proxy.stat('dns_cache.main.num_hosts')).toBe(WORKERS);
    expect(proxy.stat('cluster.anywhere.membership_total')).toBe(WORKERS);
  });
  const lines = (await proxy.admin('/clusters')).body.toString().split('\n');
  const host = `anywhere::127.0.0.1:${upstream.port}`;
  expect(lines.filter((line) => line.startsWith(`${host}::hostname::`))).toHaveLength(1);
  expect(lines).toContain(`${host}::rq_success::${open.length}`);
  for (const client of open) await client[Symbol.asyncDispose]();
});
