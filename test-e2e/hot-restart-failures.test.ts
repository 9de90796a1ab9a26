import { createServer } from 'node:net';
import {
  eventually,
  HttpUpstream,
  type RawConnection,
  rawClient,
  refusedPort,
  text,
} from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { address, bootstrap, cluster, httpListener, type Message } from './support/config.ts';
import { Sidecar, skipUnbuilt, UNBUILT } from './support/sidecar.ts';
import { Supervised } from './support/supervised.ts';

const GET = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n';
const TWO = ['--concurrency', '2'];

const config = (upstream: number, more: readonly Message[] = [], fields: Message = {}): Message =>
  bootstrap([httpListener({}), ...more], [cluster('upstream', [upstream])], fields);

async function ask(client: RawConnection): Promise<number> {
  await client.write(GET);
  return (await client.readResponse()).status;
}

async function get(port: number): Promise<number> {
  await using client = await rawClient({ port });
  return await ask(client);
}

/** A port that somebody else has. */
async function takenPort(): Promise<{ readonly port: number } & AsyncDisposable> {
  const server = createServer();
  await new Promise<void>((resolve) =>
    server.listen({ host: '127.0.0.1', port: 0, reusePort: true }, resolve),
  );
  return {
    port: (server.address() as { port: number }).port,
    [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

describe.skipIf(skipUnbuilt)(`a hot restart that fails${UNBUILT}`, { timeout: 60_000 }, () => {
  it('leaves the old epoch serving, with its admin interface; the next one may succeed', async () => {
    await using upstream = await HttpUpstream.start(text('ok'));
    await using stranger = await takenPort();
    const admin = { admin: { address: address(await refusedPort(), '127.0.0.2') } };
    await using proxy = await Supervised.serve(config(upstream.port, [], admin), TWO);
    const port = await proxy.port();
    const taken = httpListener({ name: 'second', listener: { address: address(stranger.port) } });
    const unknown = httpListener({
      name: 'second',
      filters: [
        {
          name: 'nobody.has.this',
          typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua' },
        },
      ],
    });
    const failures: [Message, RegExp][] = [
      [{ static_resources: { listeners: 7 } }, /^envoy\.yaml:\d+:\d+: static_resources\.listeners/],
      [
        config(upstream.port, [taken], admin),
        new RegExp(`cannot listen on 127\\.0\\.0\\.1:${stranger.port}`),
      ],
      [config(upstream.port, [unknown], admin), /^envoy\.yaml:\d+:\d+: .*lua/i],
    ];
    for (const [i, [broken, reason]] of failures.entries()) {
      expect(await get(port)).toBe(200);
      proxy.configure(broken);
      proxy.kill('SIGHUP');
      await proxy.logged(
        /\[error\]\[supervisor\] epoch 1 .* has failed before it was live.*serves on$/,
        i + 1,
      );
      await proxy.logged(
        /\[warning\]\[main\] the process that was to take over has failed: serving on/,
        i + 1,
      );
      expect(
        proxy.log.some((line) => reason.test(line)),
        proxy.stderr,
      ).toBe(true);
      // Its admin interface, with what it has counted.
      await eventually(async () => {
        expect(await proxy.stat('http.test.downstream_rq_total')).toBe(i + 1);
      });
      expect((await proxy.serverInfo()).state).toBe('LIVE');
    }
    expect(proxy.stderr).not.toContain('cannot open the admin interface');
    proxy.configure(config(upstream.port, [httpListener({ name: 'second' })], admin));
    await proxy.restart(1);
    for (const name of ['http', 'second']) expect(await get(await proxy.port(name))).toBe(200);
    await eventually(async () => {
      expect(await proxy.stat('http.test.downstream_rq_total')).toBe(failures.length + 2);
    });
    await proxy.untilEnded(0);
  });

  it('leaves the admin interface where it was, on a port that was 0', async () => {
    await using stranger = await takenPort();
    await using proxy = await Supervised.serve(config(1), TWO);
    const { adminPort } = proxy;
    const taken = httpListener({ name: 'second', listener: { address: address(stranger.port) } });
    proxy.configure(config(1, [taken]));
    proxy.kill('SIGHUP');
    await proxy.logged(/\[warning\]\[main\] the process that was to take over has failed: serving on/);
    await eventually(async () => expect((await proxy.serverInfo()).state).toBe('LIVE'));
    expect(proxy.adminPort).toBe(adminPort);
  });

  it('of epoch 0 is the end, with its reason and exit code', async () => {
    await using stranger = await takenPort();
    const taken = httpListener({ listener: { address: address(stranger.port) } });
    const { code, stderr } = await Sidecar.run(
      ['supervise', '--', '-c', 'envoy.yaml'],
      bootstrap([taken], [cluster('upstream', [1])]),
    );
    expect(code).toBe(1);
    expect(stderr).toMatch(/^envoy\.yaml:1:\d+: .*cannot listen on 127\.0\.0\.1:\d+: .*in use/m);
    expect(stderr).toMatch(
      /\[error\]\[supervisor\] epoch 0 .* has ended before it was live: it exited with code 1/,
    );
  });
});

describe.skipIf(skipUnbuilt)(`a hot restart past an epoch that hangs${UNBUILT}`, { timeout: 60_000 }, () => {
  it('serves without it, and has the admin address when that one lets go', async () => {
    await using upstream = await HttpUpstream.start(text('ok'));
    const admin = { admin: { address: address(await refusedPort(), '127.0.0.2') } };
    await using proxy = await Supervised.serve(config(upstream.port, [], admin), TWO);
    const hanging = proxy.pidOf(0);
    process.kill(hanging, 'SIGSTOP');
    try {
      proxy.kill('SIGHUP');
      await proxy.logged(/the admin interface waits for its address: .*Address already in use/);
      await proxy.logged(/epoch 1 \(pid \d+\) is live$/);
    } finally {
      process.kill(hanging, 'SIGCONT');
    }
    await proxy.untilServing(1);
    await proxy.untilEnded(0);
    expect(await get(await proxy.port())).toBe(200);
  });
});
