import { renameSync } from 'node:fs';
import {
  eventually,
  Gate,
  gated,
  HttpUpstream,
  hang,
  rawClient,
  refusedPort,
  text,
  within,
} from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { address, bootstrap, cluster, httpListener, type Message } from './support/config.ts';
import { Sidecar, skipUnbuilt, UNBUILT } from './support/sidecar.ts';

const GET = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n';

const config = (upstream: number, more: Message = {}): Message =>
  bootstrap([httpListener({ logPath: 'access.log' })], [cluster('upstream', [upstream])], more);

describe.skipIf(skipUnbuilt)(`the dragoman command${UNBUILT}`, () => {
  describe('checks configurations', () => {
    it('a good one: OK, exit code 0, nothing bound', async () => {
      const { code, stdout, stderr } = await Sidecar.run(
        ['--mode', 'validate', '-c', 'envoy.yaml'],
        config(1),
      );
      expect([code, stdout], stderr).toEqual([0, "configuration 'envoy.yaml' OK\n"]);
    });

    it('a bad one: every error with its place, exit code 1', async () => {
      const bad = [
        'static_resources:',
        '  listeners:',
        '  - name: http',
        '    adress: {}',
        '  clusters:',
        '  - name: upstream',
        '    type: STATIK',
        '    connect_timeout: 250ms',
        '',
      ].join('\n');
      const { code, stdout, stderr } = await Sidecar.run(['--mode', 'validate', '-c', 'envoy.yaml'], bad);
      expect([code, stdout]).toEqual([1, '']);
      const lines = stderr.trimEnd().split('\n');
      expect(lines).toContainEqual(
        expect.stringMatching(/^envoy\.yaml:4:5: .*adress.*did you mean.*address/),
      );
      expect(lines).toContainEqual(
        expect.stringMatching(/^envoy\.yaml:7:11: .*clusters\[0\]\.type: .*STATIK/),
      );
      expect(lines).toContainEqual(expect.stringMatching(/^envoy\.yaml:8:22: .*connect_timeout/));
    });

    it.each([
      ['YAML that is none', 'static_resources: [', /^envoy\.yaml:\d+:\d+: /m],
      ['a file that is not there', undefined, /envoy\.yaml/],
      ['YAML a thousand levels deep', `a: ${'['.repeat(100_000)}`, /deep|nest|too/i],
      ['a billion laughs', `node:\n  id: x\n  metadata:\n${bomb()}`, /alias|too|more than/i],
    ])('%s: exit code 1 with a reason, and soon', async (_, yaml, reason) => {
      const { code, stderr } = await Sidecar.run(['--mode', 'validate', '-c', 'envoy.yaml'], yaml);
      expect([code, stderr]).toEqual([1, expect.stringMatching(reason)]);
      expect(stderr).not.toMatch(/^\s+at /m);
      expect(stderr.length).toBeLessThan(20_000);
    });

    it('JSON a hundred thousand levels deep: exit code 1', async () => {
      const deep = `{"static_resources":${'{"a":'.repeat(100_000)}1${'}'.repeat(100_001)}`;
      const { code, stderr } = await Sidecar.run([
        '--mode',
        'validate',
        '--config-yaml',
        deep.slice(0, 100_000),
      ]);
      expect(code).toBe(1);
      expect(stderr).not.toMatch(/^\s+at /m);
      const file = await Sidecar.run(['--mode', 'validate', '-c', 'envoy.yaml'], deep);
      expect([file.code, file.stderr]).toEqual([1, expect.stringMatching(/deep|nest|too|unknown/i)]);
      expect(file.stderr).not.toMatch(/^\s+at /m);
    });

    it('an unknown flag: exit code 1, named', async () => {
      const { code, stderr } = await Sidecar.run(['--concurency', '2']);
      expect(code).toBe(1);
      expect(stderr).toMatch(/--?concurency/);
    });
  });

  it('a taken port: exit code 1, the port and the line that asked for it', async () => {
    await using upstream = await HttpUpstream.start();
    const yaml = [
      'static_resources:',
      '  listeners:',
      '  - name: taken',
      '    address:',
      `      socket_address: { address: 127.0.0.1, port_value: ${upstream.port} }`,
      '    filter_chains: [{ filters: [{ name: echo, typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.network.echo.v3.Echo } }] }]',
      '',
    ].join('\n');
    const { code, stderr } = await Sidecar.run(['-c', 'envoy.yaml'], yaml);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      new RegExp(`^envoy\\.yaml:4:\\d+: .*127\\.0\\.0\\.1:${upstream.port}.*in use`, 'm'),
    );
  });

  it('an admin address that is not loopback is warned about', async () => {
    const exposed = { admin: { address: address(0, '0.0.0.0') } };
    await using sidecar = await Sidecar.serve(config(1, exposed));
    expect(sidecar.stderr).toMatch(/\[warning\].*admin.*(0\.0\.0\.0|loopback)/);
    await using quiet = await Sidecar.serve(config(1));
    expect(quiet.stderr).not.toMatch(/\[warning\].*admin/);
  });

  describe('SIGTERM', () => {
    it('lets a request in flight finish, loses no log line, and exits with 0', async () => {
      const gate = new Gate();
      await using upstream = await HttpUpstream.start(text('quick'));
      await using sidecar = await Sidecar.serve(config(upstream.port));
      const port = await sidecar.port();
      await using idle = await rawClient({ port });
      for (let i = 0; i < 200; i++) {
        await idle.write(GET);
        await idle.readResponse();
      }
      upstream.answer = gated(gate, text('slow'));
      await using busy = await rawClient({ port });
      await busy.write('GET /slow HTTP/1.1\r\nhost: a\r\n\r\n');
      await gate.reached();
      sidecar.kill('SIGTERM');
      // The connection between two requests is closed, the listener is gone, the busy one is waited for.
      expect(await idle.readUntilClose()).toBe('');
      await eventually(() =>
        rawClient({ port }).then(
          (client) => {
            client.destroy();
            return false;
          },
          () => true,
        ),
      );
      gate.open();
      const response = await busy.readResponse();
      expect([response.body.toString(), response.header('connection')]).toEqual(['slow', 'close']);
      const { code, stderr } = await within(sidecar.exit, 'the end of the drain');
      expect([code, stderr]).toEqual([0, expect.stringContaining('caught SIGTERM')]);
      const lines = sidecar.lines('access.log').map((line) => JSON.parse(line));
      expect(lines).toHaveLength(201);
      const slow = lines.filter(({ path }) => path === '/slow');
      expect(slow).toEqual([expect.objectContaining({ status: 200, flags: '-' })]);
    });

    it('a second one ends at once, with what was logged', async () => {
      await using upstream = await HttpUpstream.start(text('quick'));
      await using sidecar = await Sidecar.serve(config(upstream.port));
      const port = await sidecar.port();
      await using client = await rawClient({ port });
      for (let i = 0; i < 20; i++) {
        await client.write(GET);
        await client.readResponse();
      }
      upstream.answer = hang();
      await client.write(GET);
      await upstream.request(21);
      sidecar.kill('SIGTERM');
      await eventually(() => sidecar.stderr.includes('caught SIGTERM'));
      sidecar.kill('SIGTERM');
      const { code, signal } = await within(sidecar.exit, 'the end at once');
      expect([code, signal]).toEqual([143, null]);
      expect(sidecar.lines('access.log').length).toBeGreaterThanOrEqual(20);
    });

    it('--drain-time-s bounds the wait', async () => {
      await using upstream = await HttpUpstream.start(hang());
      await using sidecar = await Sidecar.serve(config(upstream.port), ['--drain-time-s', '0']);
      await using client = await rawClient({ port: await sidecar.port() });
      await client.write(GET);
      await upstream.request();
      sidecar.kill('SIGTERM');
      expect((await within(sidecar.exit, 'the end of the drain')).code).toBe(0);
      expect(sidecar.lines('access.log')).toHaveLength(1);
    });
  });

  it('SIGUSR1 and /reopen_logs open access logs again after they were moved', async () => {
    await using upstream = await HttpUpstream.start(text('ok'));
    await using sidecar = await Sidecar.serve(config(upstream.port), ['--file-flush-interval-msec', '5']);
    const port = await sidecar.port();
    await using client = await rawClient({ port });
    const send = async (): Promise<void> => {
      await client.write(GET);
      await client.readResponse();
    };
    await send();
    await eventually(() => sidecar.lines('access.log').length === 1);
    renameSync(sidecar.path('access.log'), sidecar.path('access.1'));
    await send();
    await eventually(() => sidecar.lines('access.1').length === 2);
    sidecar.kill('SIGUSR1');
    await eventually(() => sidecar.stderr.includes('caught SIGUSR1'));
    await send();
    await eventually(() => sidecar.lines('access.log').length === 1);
    renameSync(sidecar.path('access.log'), sidecar.path('access.2'));
    expect((await sidecar.admin('/reopen_logs', 'POST')).status).toBe(200);
    await send();
    await eventually(() => sidecar.lines('access.log').length === 1);
    expect(['access.1', 'access.2', 'access.log'].map((name) => sidecar.lines(name).length)).toEqual([
      2, 1, 1,
    ]);
  });

  it('/quitquitquit ends it, for POST only', async () => {
    await using sidecar = await Sidecar.serve(config(await refusedPort()));
    expect((await sidecar.admin('/quitquitquit')).status).toBe(405);
    expect((await sidecar.admin('/quitquitquit', 'POST')).status).toBe(200);
    expect((await within(sidecar.exit, 'the end')).code).toBe(0);
  });
});

/** Eight levels of ten aliases each: a hundred million nodes, if anybody expands them. */
function bomb(): string {
  const lines = ['    a0: &a0 [x, x, x, x, x, x, x, x, x, x]'];
  for (let i = 1; i <= 8; i++)
    lines.push(
      `    a${i}: &a${i} [${Array(10)
        .fill(`*a${i - 1}`)
        .join(', ')}]`,
    );
  return lines.join('\n');
}
