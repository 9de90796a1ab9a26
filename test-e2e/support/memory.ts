import { eventually, within } from '@dragoman/testing';
import { expect } from 'vitest';
import { bootstrap, cluster, httpListener, tcpProxyListener } from './config.ts';
import { Sidecar } from './sidecar.ts';
import { growth, listenOnce, open, Pump, readSlowly, residentMib, stalled } from './transfer.ts';

const MIB = 1024 * 1024;
/** What the sockets' own buffers, in the kernel and in the test, may hold on the way. */
const KERNEL_MIB = 40;
/** What a proxy that holds back may take for one transfer: read buffers, and a heap that breathes. */
const ALLOWANCE_MIB = 24;

export type Kind = 'download' | 'upload' | 'tcp';

/**
 * Sends `total` bytes through the sidecar to a reader that first does not read at all and then reads slowly, and expects that the
 * sender is held back, and that the sidecar's memory does not grow with the length.
 */
export async function expectBounded(kind: Kind, total: number): Promise<void> {
  const endpoint = await listenOnce();
  const config = bootstrap(
    [httpListener({ logPath: 'access.log' }), tcpProxyListener('upstream')],
    [cluster('upstream', [endpoint.port])],
  );
  await using sidecar = await Sidecar.serve(config);
  const client = await open(await sidecar.port(kind === 'tcp' ? 'tcp' : 'http'));
  const before = residentMib(sidecar.pid);
  if (kind === 'download') client.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
  if (kind === 'upload') client.write(`POST / HTTP/1.1\r\nhost: a\r\ncontent-length: ${total}\r\n\r\n`);
  const upstream = await within(endpoint.connection, 'the connection to the upstream');
  const [sender, receiver] = kind === 'upload' ? [client, upstream] : [upstream, client];
  if (kind === 'download') sender.write(`HTTP/1.1 200 OK\r\ncontent-length: ${total}\r\n\r\n`);
  const pump = new Pump(sender, total);

  const held = await stalled(pump);
  expect(held / MIB, 'what a reader that does not read makes the others hold').toBeLessThan(KERNEL_MIB);
  expect(residentMib(sidecar.pid) - before, 'memory for a reader that does not read').toBeLessThan(
    ALLOWANCE_MIB,
  );

  const looks = await readSlowly(receiver, total, sidecar.pid);
  await pump.done;
  expect(Math.max(...looks) - before, 'memory at the highest').toBeLessThan(2 * ALLOWANCE_MIB);
  expect(growth(looks), `growth over ${looks.map(Math.round)}`).toBeLessThan(ALLOWANCE_MIB / 2);

  client.destroy();
  upstream.destroy();
  await endpoint.stop();
  await eventually(async () => {
    const stats = (
      await sidecar.admin('/stats?filter=_(rq_active|cx_active|bytes_buffered)$')
    ).body.toString();
    return !/: [1-9]/.test(stats.replace(/^.*admin.*$/gm, ''));
  });
}
