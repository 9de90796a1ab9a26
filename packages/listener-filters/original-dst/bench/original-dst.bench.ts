// node --conditions dragoman-source packages/listener-filters/original-dst/bench/original-dst.bench.ts

import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { create, OriginalDstSchema } from '@dragoman/api';
import { Address, StreamInfo } from '@dragoman/core';
import { connectionInfo, testContext } from '@dragoman/testing';
import { originalDst } from '../src/index.ts';
import { CAPTURE_PORT, runInNamespace } from '@dragoman/testing';

const ROUNDS = 50_000;

/** Prints the best of five rounds: the others were disturbed. */
function measure(name: string, round: () => void): void {
  let best = Number.POSITIVE_INFINITY;
  for (let index = 0; index < 5; index++) {
    const start = performance.now();
    for (let i = 0; i < ROUNDS; i++) round();
    best = Math.min(best, performance.now() - start);
  }
  console.log(`${name}: ${((best * 1e6) / ROUNDS).toFixed(0)} ns`);
}

/** The filter on a connection to `ip`, which is redirected to a server on `host`. */
async function run(name: string, host: string, ip: string, port: number): Promise<void> {
  const server = createServer().listen(CAPTURE_PORT, host);
  await once(server, 'listening');
  const client = connect(port, ip);
  const [socket] = (await once(server, 'connection')) as [Socket];
  const info = connectionInfo({ directRemoteAddress: Address.ip(ip, 4000) });
  const { fd: descriptor } = (socket as unknown as { _handle: { fd: number } })._handle;
  const peeked = Buffer.alloc(0);
  const accepted = { info, streamInfo: new StreamInfo(info, 0, 0), descriptor, peeked };
  const filter = originalDst.create(create(OriginalDstSchema) as never, testContext());
  measure(name, () => void filter().onAccept(accepted));
  if (info.localAddressRestored !== true) throw new Error(`${name}: nothing was restored`);
  client.destroy();
  socket.destroy();
  server.close();
  await once(server, 'close');
}

if (process.argv[2] === 'inside') {
  await run('IPv4, redirected', '0.0.0.0', '192.0.2.7', 8080);
  await run('IPv4, not redirected', '0.0.0.0', '127.0.0.1', CAPTURE_PORT);
  await run('IPv6, redirected', '::', '2001:db8::7', 8080);
} else {
  process.stdout.write(await runInNamespace(fileURLToPath(import.meta.url), 'inside'));
}
