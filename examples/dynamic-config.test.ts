import { cpSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from '@dragoman/api';
import {
  eventually,
  exchange,
  HttpUpstream,
  type StartProxyOptions,
  startProxy,
  type TestProxy,
  text,
} from '@dragoman/testing';
import { snapshot } from '@dragoman/xds-server';
import { extensions } from 'dragoman';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { controlPlane, world } from './dynamic-config-cp/control-plane.ts';

const here = (...parts: string[]) => join(import.meta.dirname, ...parts);

/** A port that nobody has: the listener of an example gets it. */
async function freePort(): Promise<number> {
  await using upstream = await HttpUpstream.start(text(''));
  return upstream.port;
}

const options: StartProxyOptions = { extensions, flags: { drainTimeMs: 20 } };
const get = (port: number) => exchange({ port }, 'GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');

describe('clusters and listeners of files', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'dragoman-'));
    cpSync(here('dynamic-config-fs'), folder, { recursive: true });
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** The file of the example with other ports. */
  const edited = (file: string, from: number, to: number) =>
    readFileSync(here('dynamic-config-fs', file), 'utf8').replace(`port_value: ${from}`, `port_value: ${to}`);

  async function start(): Promise<TestProxy> {
    const yaml = readFileSync(join(folder, 'envoy.yaml'), 'utf8')
      .replace('port_value: 9901', 'port_value: 0')
      .replaceAll(/path: (\w+\.yaml)/g, (_, file: string) => `path: ${join(folder, file)}`);
    return startProxy(loadConfig({ text: yaml }) as never, options);
  }

  test('are changed in place, by a rename, and never by what is wrong', async () => {
    await using one = await HttpUpstream.start(text('one'));
    await using two = await HttpUpstream.start(text('two'));
    const port = await freePort();
    writeFileSync(join(folder, 'cds.yaml'), edited('cds.yaml', 8080, one.port));
    writeFileSync(join(folder, 'lds.yaml'), edited('lds.yaml', 10_000, port));
    await using proxy = await start();
    expect(await get(port)).toContain('one');

    writeFileSync(join(folder, 'cds.yaml'), edited('cds.yaml', 8080, two.port));
    await eventually(async () => expect(await get(port)).toContain('two'));

    const broken = edited('cds.yaml', 8080, one.port).replace('connect_timeout: 1s', 'connect_timeout: soon');
    writeFileSync(join(folder, 'cds.yaml'), broken);
    await eventually(() => expect(proxy.stat('cluster_manager.cds.update_rejected')).toBe(1));
    expect(proxy.log.find('cds.yaml:5:22')).not.toEqual([]);
    expect(await get(port)).toContain('two');

    writeFileSync(join(folder, 'next.yaml'), edited('cds.yaml', 8080, one.port));
    renameSync(join(folder, 'next.yaml'), join(folder, 'cds.yaml'));
    await eventually(async () => expect(await get(port)).toContain('one'));

    writeFileSync(join(folder, 'lds.yaml'), 'resources: []\n');
    await eventually(() => expect(proxy.stat('listener_manager.total_listeners_active')).toBe(0));
  });
});

test('everything of a control plane', async () => {
  await using one = await HttpUpstream.start(text('one'));
  await using two = await HttpUpstream.start(text('two'));
  const port = await freePort();
  const { cache, server } = controlPlane();
  await using _server = server;
  cache.setSnapshot('example', snapshot(undefined, world(port, one.port)));
  const xdsPort = await server.listen({ port: 0 });
  const yaml = readFileSync(here('dynamic-config-cp', 'envoy.yaml'), 'utf8')
    .replace('port_value: 9901', 'port_value: 0')
    .replace('port_value: 18000', `port_value: ${xdsPort}`);
  await using proxy = await startProxy(loadConfig({ text: yaml }) as never, options);
  expect(await get(port)).toContain('one');
  cache.setSnapshot('example', snapshot(undefined, world(port, two.port)));
  await eventually(async () => expect(await get(port)).toContain('two'));
  expect(proxy.stat('control_plane.connected_state')).toBe(1);
});
