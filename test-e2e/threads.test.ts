import { renameSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { eventually, within } from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { address, bootstrap, fileLog, httpListener, type Message } from './support/config.ts';
import { Sidecar, skipUnbuilt, UNBUILT } from './support/sidecar.ts';

const WORKERS = 4;
const FORMAT: Message = { text_format_source: { inline_string: '%REQ(:PATH)% %REQ(X-PADDING)% end\n' } };
const STDOUT_TYPE = 'type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog';
const stdoutLog: Message = {
  name: 'envoy.access_loggers.stdout',
  typed_config: { '@type': STDOUT_TYPE, log_format: FORMAT },
};
const ok: Message = { match: { prefix: '/' }, direct_response: { status: 200 } };

/** As long as lines of real logs, and now and then longer than a pipe writes whole. */
const padding = (id: number): string => 'x'.repeat(id % 50 === 0 ? 6000 : 50 + (id % 300));
const lineOf = (id: number): string => `/${id} ${padding(id)} end`;

/** Requests with the numbers of `ids` on one connection, pipelined; all are answered. */
async function requests(port: number, ids: readonly number[]): Promise<void> {
  const socket: Socket = connect({ port, host: '127.0.0.1' });
  const answered = new Promise<void>((resolve, reject) => {
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      const { length } = text.match(/HTTP\/1\.1 200 OK\r\n/g) ?? [];
      if (length === ids.length && text.endsWith('\r\n\r\n')) resolve();
    });
    socket.once('error', reject);
    socket.once('close', () => reject(new Error(`closed after ${text.length} bytes`)));
  });
  for (const id of ids) socket.write(`GET /${id} HTTP/1.1\r\nhost: a\r\nx-padding: ${padding(id)}\r\n\r\n`);
  await within(answered, `answers to ${ids[0]} …`, 20_000);
  socket.destroy();
}

/** `count` requests from number `from` on, ten on a connection, twenty connections at a time. */
async function load(port: number, from: number, count: number): Promise<void> {
  let next = from;
  const run = async (): Promise<void> => {
    while (next < from + count) {
      const ids = Array.from({ length: 10 }, (_, i) => next + i);
      next += 10;
      await requests(port, ids);
    }
  };
  await Promise.all(Array.from({ length: 20 }, run));
}

function expectExactly(lines: readonly string[], count: number): void {
  const seen = new Set<number>();
  for (const line of lines) {
    const id = Number(line.slice(1, line.indexOf(' ')));
    if (line !== lineOf(id)) expect.fail(`torn: ${line.slice(0, 200)}`);
    if (seen.has(id)) expect.fail(`twice: ${id}`);
    seen.add(id);
  }
  expect(seen.size).toBe(count);
}

describe.skipIf(skipUnbuilt)(`worker threads of the command${UNBUILT}`, () => {
  test('do not start with a config that is wrong: what is wrong is said once', async () => {
    const wrong = bootstrap([httpListener({ routes: [ok], listener: { transparent: true } })], []);
    const { code, stderr } = await Sidecar.run(['-c', 'envoy.yaml', '--concurrency', String(WORKERS)], wrong);
    const lines = stderr.split('\n').filter((line) => line.includes('transparent'));
    expect([code, lines.length], stderr).toEqual([1, 1]);
    expect(lines[0]).toMatch(/^envoy\.yaml:\d+:\d+: static_resources\.listeners\[0\]\.transparent: /);
  });

  test('do not share a port with somebody else', async () => {
    await using first = await Sidecar.serve(bootstrap([httpListener({ routes: [ok] })], []), [
      '--concurrency',
      '2',
    ]);
    const taken = httpListener({ routes: [ok], listener: { address: address(await first.port()) } });
    const second = await Sidecar.run(['-c', 'envoy.yaml', '--concurrency', '2'], bootstrap([taken], []));
    expect(second.code).toBe(1);
    expect(second.stderr).toMatch(
      /envoy\.yaml:\d+:\d+: .*: cannot listen on 127\.0\.0\.1:\d+: Address already in use/,
    );
  });

  test('write one access log: no line is torn or lost, in a file and into a pipe', async () => {
    const COUNT = 4000;
    const config = bootstrap(
      [httpListener({ routes: [ok], manager: { access_log: [fileLog('access.log', FORMAT), stdoutLog] } })],
      [],
    );
    const args = ['--concurrency', String(WORKERS), '--file-flush-interval-msec', '10'];
    await using sidecar = await Sidecar.serve(config, args);
    const port = await sidecar.port();
    await load(port, 0, COUNT);
    const { body } = await sidecar.admin('/stats?filter=worker_.*downstream_cx_total');
    expect(body.toString().match(/worker_\d\.downstream_cx_total: [1-9]/g)).toHaveLength(WORKERS);
    sidecar.kill('SIGTERM');
    const { code, stdout } = await within(sidecar.exit, 'the end', 10_000);
    expect(code).toBe(0);
    expectExactly(sidecar.lines('access.log'), COUNT);
    expectExactly(stdout.split('\n').slice(0, -1), COUNT);
  });

  test('open a log again that was moved away, all of them', async () => {
    const config = bootstrap(
      [httpListener({ routes: [ok], manager: { access_log: [fileLog('access.log', FORMAT)] } })],
      [],
    );
    const args = ['--concurrency', String(WORKERS), '--file-flush-interval-msec', '10'];
    await using sidecar = await Sidecar.serve(config, args);
    const port = await sidecar.port();
    const ROUNDS = 3;
    const EACH = 600;
    for (let round = 0; round < ROUNDS; round++) {
      const traffic = load(port, round * EACH, EACH);
      renameSync(sidecar.path('access.log'), sidecar.path(`access.log.${round}`));
      sidecar.kill('SIGUSR1');
      await eventually(() => sidecar.read('access.log') !== '');
      await traffic;
      // Every worker writes to the new file: the moved one does not grow any more.
      const moved = sidecar.read(`access.log.${round}`).length;
      await load(port, (ROUNDS + round) * EACH, EACH);
      await eventually(() => sidecar.read('access.log').length > moved / 10);
      expect(sidecar.read(`access.log.${round}`).length).toBe(moved);
    }
    sidecar.kill('SIGTERM');
    expect((await within(sidecar.exit, 'the end', 10_000)).code).toBe(0);
    const files = ['access.log', ...Array.from({ length: ROUNDS }, (_, round) => `access.log.${round}`)];
    expectExactly(
      files.flatMap((file) => sidecar.lines(file)),
      2 * ROUNDS * EACH,
    );
  });
});
