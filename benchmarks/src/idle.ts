import { connect, type Socket } from 'node:net';
import { CASES, type Case } from './cases.ts';
import type { Peer } from './peers/peer.ts';
import { rssBytes } from './proc.ts';
import { startUpstream } from './upstream.ts';
import { freePort, untilServing, type Workbench } from './workbench.ts';

const IDLE_CONNECTIONS = 2000;
/** Connections that are being opened at a time: less than any backlog. */
const OPENING = 50;

/** What a proxy costs that has nothing to do. */
export interface IdleSample {
  /** Milliseconds from exec until it accepted a connection. */
  readonly startMs: number;
  readonly rssBytes: number;
  /** Bytes of RSS for each keep-alive connection that has had one answer and waits. */
  readonly bytesPerConnection: number;
}

export async function measureIdle(bench: Workbench, peer: Peer): Promise<IdleSample> {
  const wanted = CASES[0] as Case;
  const upstream = await startUpstream(bench, wanted);
  const port = await freePort();
  const child = await peer.start(bench, { case: wanted, port, upstreamPort: upstream.port });
  const sockets: Socket[] = [];
  try {
    const startMs = (await untilServing(port, child)) - child.startedAt;
    const idle = await settledRss(child.pid);
    // As many first, of which only a few are open at a time: code is compiled and a heap has its working size before
    // the connections that are counted.
    for (let opened = 0; opened < IDLE_CONNECTIONS; opened += OPENING) {
      for (const socket of await openSome(port)) socket.destroy();
    }
    const before = await settledRss(child.pid);
    for (let opened = 0; opened < IDLE_CONNECTIONS; opened += OPENING)
      sockets.push(...(await openSome(port)));
    const after = await settledRss(child.pid);
    return {
      startMs,
      rssBytes: idle,
      bytesPerConnection: Math.max(0, after - before) / IDLE_CONNECTIONS,
    };
  } finally {
    for (const socket of sockets) socket.destroy();
    await child.stop();
    await upstream.child.stop();
  }
}

function openSome(port: number): Promise<Socket[]> {
  return Promise.all(Array.from({ length: OPENING }, () => openIdle(port)));
}

/** One connection that has had an answer. */
function openIdle(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () =>
      socket.write('GET /small HTTP/1.1\r\nhost: bench.test\r\n\r\n'),
    );
    socket.once('data', () => resolve(socket));
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('the proxy closed a connection that should stay idle')));
  });
}

/** RSS once it has stood still for a second, at most ten. */
async function settledRss(pid: number): Promise<number> {
  let last = rssBytes(pid);
  for (let i = 0; i < 10; i++) {
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const now = rssBytes(pid);
    if (Math.abs(now - last) < 256 * 1024) return now;
    last = now;
  }
  return last;
}
