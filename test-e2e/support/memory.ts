import { eventually, within } from '@dragoman/testing';
import { expect } from 'vitest';
import { bootstrap, cluster, httpListener, prefixRoute, tcpProxyListener } from './config.ts';
import { Sidecar } from './sidecar.ts';
import { growth, listenOnce, open, Pump, readSlowly, residentMib, stalled } from './transfer.ts';

const MIB = 1024 * 1024;
/** What the sockets' own buffers, in the kernel and in the test, may hold on the way. */
const KERNEL_MIB = 40;
/** What a proxy that holds back may take for one transfer: read buffers, and a heap that breathes. */
const ALLOWANCE_MIB = 24;

export type Kind = 'download' | 'upload' | 'mirrored upload' | 'upgrade' | 'tcp';

const HANDSHAKE = 'GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n';
const SWITCH = 'HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n';

/**
 * Sends `total` bytes through the sidecar to a reader that first does not read at all and then reads slowly, and expects that the
 * sender is held back, and that the sidecar's memory does not grow with the length.
 */
export async function expectBounded(kind: Kind, total: number): Promise<void> {
  const endpoint = await listenOnce();
  // Takes a connection and never reads from it.
  const mirror = await listenOnce();
  const mirrors = kind === 'mirrored upload' ? [{ cluster: 'mirror' }] : [];
  const http = httpListener({
    logPath: 'access.log',
    routes: [prefixRoute('/', 'upstream', { request_mirror_policies: mirrors, timeout: '0s' })],
    manager: { upgrade_configs: [{ upgrade_type: 'websocket' }] },
  });
  const config = bootstrap(
    [http, tcpProxyListener('upstream')],
    [cluster('upstream', [endpoint.port]), cluster('mirror', [mirror.port])],
  );
  await using sidecar = await Sidecar.serve(config);
  const client = await open(await sidecar.port(kind === 'tcp' ? 'tcp' : 'http'));
  const before = residentMib(sidecar.pid);
  if (kind === 'download') client.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
  if (kind === 'upgrade') client.write(HANDSHAKE);
  if (kind === 'upload' || kind === 'mirrored upload')
    client.write(`POST / HTTP/1.1\r\nhost: a\r\ncontent-length: ${total}\r\n\r\n`);
  const upstream = await within(endpoint.connection, 'the connection to the upstream');
  const uploads = kind !== 'download' && kind !== 'tcp';
  const [sender, receiver] = uploads ? [client, upstream] : [upstream, client];
  if (kind === 'upgrade') upstream.write(SWITCH);
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
  if (kind === 'mirrored upload') (await mirror.connection).destroy();
  await Promise.all([endpoint.stop(), mirror.stop()]);
  await eventually(async () => {
    const stats = (
      await sidecar.admin('/stats?filter=_(rq_active|cx_active|bytes_buffered)$')
    ).body.toString();
    return !/: [1-9]/.test(stats.replace(/^.*admin.*$/gm, ''));
  });
}
