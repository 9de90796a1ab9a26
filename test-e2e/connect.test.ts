import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { eventually, HttpUpstream, refusedPort, text } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import {
  address,
  bootstrap,
  cluster,
  httpListener,
  type LogLine,
  type Message,
  prefixRoute,
} from './support/config.ts';
import { findProgram } from './support/programs.ts';
import { Sidecar, skipUnbuilt, UNBUILT } from './support/sidecar.ts';

const run = promisify(execFile);
const noCurl = findProgram('curl') === undefined && process.env.CI !== 'true';
const NO_CURL = noCurl ? ' (skipped: no curl; see test-e2e/install-peers.sh)' : '';
const flushed = ['--file-flush-interval-msec', '5'];

describe.skipIf(skipUnbuilt || noCurl)(
  `CONNECT through the dragoman command, by curl -p${UNBUILT}${NO_CURL}`,
  () => {
    const CONNECT = { upgrade_configs: [{ upgrade_type: 'CONNECT' }] };
    const route = (to: string, action: Message = {}): Message => ({
      match: { connect_matcher: {} },
      route: { cluster: to, ...action },
    });
    const terminate = { upgrade_configs: [{ upgrade_type: 'CONNECT', connect_config: {} }] };

    const curl = async (proxy: number, ...args: string[]): Promise<string> => {
      const options = ['-sS', '--max-time', '10', '-p', '-x', `http://127.0.0.1:${proxy}`, ...args];
      const { stdout } = await run('curl', options, { maxBuffer: 32 * 1024 * 1024 });
      return stdout;
    };

    it('one proxy ends the tunnel, another hands it on', async () => {
      const content = randomBytes(300_000).toString('hex');
      await using origin = await HttpUpstream.start(text(content));
      const second = await refusedPort();
      const listeners = [
        httpListener({ name: 'first', logPath: 'first.log', manager: CONNECT, routes: [route('second')] }),
        httpListener({
          name: 'second',
          logPath: 'second.log',
          manager: CONNECT,
          routes: [route('origin', terminate)],
          listener: { address: address(second) },
        }),
      ];
      await using sidecar = await Sidecar.serve(
        bootstrap(listeners, [cluster('second', [second]), cluster('origin', [origin.port])]),
        flushed,
      );
      for (const port of [second, await sidecar.port('first')]) {
        expect(await curl(port, 'http://anywhere.test/page')).toBe(content);
      }
      expect(origin.requests.map((request) => request.header('host'))).toEqual([
        'anywhere.test',
        'anywhere.test',
      ]);
      await eventually(
        () => sidecar.lines('second.log').length === 2 && sidecar.lines('first.log').length === 1,
      );
      const [line] = sidecar.lines('first.log').map((entry): LogLine => JSON.parse(entry));
      expect(line).toMatchObject({ method: 'CONNECT', status: 200 });
      expect(Number(line?.sent)).toBeGreaterThan(content.length);
    });

    it('is refused with 403 where no upgrade is configured, 404 without a route', async () => {
      const listeners = [
        httpListener({ name: 'closed', routes: [route('origin')] }),
        httpListener({ name: 'lost', manager: CONNECT, routes: [prefixRoute('/', 'origin')] }),
      ];
      await using sidecar = await Sidecar.serve(
        bootstrap(listeners, [cluster('origin', [await refusedPort()])]),
      );
      for (const [name, status] of [
        ['closed', 403],
        ['lost', 404],
      ] as const) {
        await expect(curl(await sidecar.port(name), 'http://anywhere.test/')).rejects.toThrow(String(status));
      }
    });
  },
);
