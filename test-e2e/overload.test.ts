import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, rawClient, requestText } from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { bootstrap, fileLog, httpListener, type Message } from './support/config.ts';
import { Sidecar, skipUnbuilt, UNBUILT } from './support/sidecar.ts';

const TYPES = 'type.googleapis.com/envoy';
const INJECTED = 'envoy.resource_monitors.injected_resource';
const action = (name: string): string => `envoy.overload_actions.${name}`;

const ok: Message = { match: { prefix: '/' }, direct_response: { status: 200 } };
const LOG: Message = {
  text_format_source: { inline_string: '%RESPONSE_CODE% %RESPONSE_CODE_DETAILS% %RESPONSE_FLAGS%\n' },
};

/** The command with an overload manager that reads `pressure` in its folder. */
class Overloaded implements AsyncDisposable {
  readonly sidecar: Sidecar;
  readonly port: number;

  private constructor(sidecar: Sidecar, port: number) {
    this.sidecar = sidecar;
    this.port = port;
  }

  static async serve(workers: number, manager: Message): Promise<Overloaded> {
    const config = {
      ...bootstrap(
        [httpListener({ routes: [ok], manager: { access_log: [fileLog('access.log', LOG)] } })],
        [],
      ),
      overload_manager: {
        refresh_interval: '0.02s',
        resource_monitors: [
          {
            name: INJECTED,
            typed_config: {
              '@type': `${TYPES}.extensions.resource_monitors.injected_resource.v3.InjectedResourceConfig`,
              filename: 'pressure',
            },
          },
        ],
        ...manager,
      },
    };
    const sidecar = await Sidecar.serve(config, [
      '--concurrency',
      String(workers),
      '--file-flush-interval-msec',
      '20',
    ]);
    return new Overloaded(sidecar, await sidecar.port());
  }

  /** Moves a pressure into its place, and waits until an action or point stands at `percent`. */
  async press(pressure: number, name: string, percent: number): Promise<void> {
    const file = join(this.sidecar.folder, 'pressure');
    writeFileSync(`${file}.new`, `${pressure}\n`);
    renameSync(`${file}.new`, file);
    await this.untilStat(`overload.${name}.scale_percent`, percent);
  }

  async untilStat(name: string, value: number): Promise<void> {
    await eventually(async () => {
      const { body } = await this.sidecar.admin(`/stats?filter=^${name.replaceAll('.', '\\.')}$`);
      expect(body.toString().trim()).toBe(`${name}: ${value}`);
    });
  }

  async get(): Promise<{ status: number; body: string; connection: string | undefined }> {
    await using client = await rawClient({ port: this.port });
    await client.write(requestText('GET', '/'));
    const response = await client.readResponse();
    return {
      status: response.status,
      body: response.body.toString(),
      connection: response.header('connection'),
    };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.sidecar[Symbol.asyncDispose]();
  }
}

const triggers: readonly Message[] = [{ name: INJECTED, threshold: { value: 0.9 } }];

describe.skipIf(skipUnbuilt).each([1, 2])(`overload of %s workers${UNBUILT}`, (workers) => {
  test('requests are answered 503 while the pressure is high, and served when it is low', async () => {
    const name = action('stop_accepting_requests');
    await using proxy = await Overloaded.serve(workers, { actions: [{ name, triggers }] });
    expect((await proxy.get()).status).toBe(200);
    await proxy.press(0.95, name, 100);
    for (let i = 0; i < 6; i++)
      expect(await proxy.get()).toMatchObject({ status: 503, body: 'envoy overloaded' });
    await proxy.press(0.2, name, 0);
    for (let i = 0; i < 6; i++) expect((await proxy.get()).status).toBe(200);
    await proxy.untilStat(`overload.${INJECTED}.pressure`, 20);
    await eventually(() => {
      const lines = proxy.sidecar.read('access.log').trim().split('\n');
      expect(lines.filter((line) => line === '503 overload OM')).toHaveLength(6);
      expect(lines).toHaveLength(13);
    });
  });

  test('connections are refused, and accepted again', async () => {
    const name = action('reject_incoming_connections');
    await using proxy = await Overloaded.serve(workers, { actions: [{ name, triggers }] });
    expect((await proxy.get()).status).toBe(200);
    await proxy.press(1, name, 100);
    for (let i = 0; i < 6; i++) {
      await using client = await rawClient({ port: proxy.port });
      expect(await client.readUntilClose()).toBe('');
    }
    await proxy.untilStat(`listener.127.0.0.1_0.downstream_cx_overload_reject`, 6);
    await proxy.press(0, name, 0);
    for (let i = 0; i < 6; i++) expect((await proxy.get()).status).toBe(200);
  });

  test('keep-alive is off, and on again', async () => {
    const name = action('disable_http_keepalive');
    await using proxy = await Overloaded.serve(workers, { actions: [{ name, triggers }] });
    expect((await proxy.get()).connection).toBeUndefined();
    await proxy.press(1, name, 100);
    for (let i = 0; i < 4; i++) expect(await proxy.get()).toMatchObject({ status: 200, connection: 'close' });
    await proxy.press(0, name, 0);
    for (let i = 0; i < 4; i++) expect((await proxy.get()).connection).toBeUndefined();
  });
});

describe.skipIf(skipUnbuilt)(`the other resources${UNBUILT}`, () => {
  test('a heap that is too small, the CPU, and connections', async () => {
    const monitor = (name: string, type: string, fields: Message = {}): Message => ({
      name: `envoy.resource_monitors.${name}`,
      typed_config: { '@type': `${TYPES}.extensions.resource_monitors.${type}`, ...fields },
    });
    const name = action('stop_accepting_requests');
    const config = {
      ...bootstrap([httpListener({ routes: [ok] })], []),
      overload_manager: {
        refresh_interval: '0.02s',
        resource_monitors: [
          monitor('fixed_heap', 'fixed_heap.v3.FixedHeapConfig', { max_heap_size_bytes: 1_000_000 }),
          monitor('cpu_utilization', 'cpu_utilization.v3.CpuUtilizationConfig'),
          monitor(
            'global_downstream_max_connections',
            'downstream_connections.v3.DownstreamConnectionsConfig',
            { max_active_downstream_connections: 1 },
          ),
        ],
        actions: [
          {
            name,
            triggers: [{ name: 'envoy.resource_monitors.fixed_heap', threshold: { value: 1 } }],
          },
        ],
      },
    };
    await using sidecar = await Sidecar.serve(config, ['--concurrency', '2']);
    const port = await sidecar.port();
    await using client = await rawClient({ port });
    await eventually(async () => {
      await client.write(requestText('GET', '/'));
      expect((await client.readResponse()).status).toBe(503);
    });
    await using second = await rawClient({ port });
    expect(await second.readUntilClose()).toBe('');
    const { body } = await sidecar.admin('/stats?filter=overload');
    expect(body.toString()).toContain('listener.127.0.0.1_0.downstream_cx_overload_reject: 0');
    expect(body.toString()).toContain(
      'overload.envoy.resource_monitors.global_downstream_max_connections.pressure: 100',
    );
    expect(body.toString()).toMatch(/overload\.envoy\.resource_monitors\.fixed_heap\.pressure: \d{4}/);
    expect(body.toString()).toMatch(/overload\.envoy\.resource_monitors\.cpu_utilization\.pressure: \d+\n/);
  });
});
