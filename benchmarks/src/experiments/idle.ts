import { connect, type Socket } from 'node:net';
import { CASES, type Case } from '../cases.ts';
import { ableTo, byTurns, type Experiment, type Session } from '../experiment.ts';
import type { Peer } from '../peers/peer.ts';
import { settledRss } from '../proc.ts';
import { figure, markdownTable, median } from '../report.ts';
import { startUpstream } from '../upstream.ts';
import { freePort, PROXY_CORE, untilServing, type Workbench } from '../workbench.ts';

const IDLE_CONNECTIONS = 2000;
/** Connections that are being opened at a time: less than any backlog. */
const OPENING = 50;

/** What a proxy costs that has nothing to do. */
interface IdleSample {
  /** Milliseconds from exec until it accepted a connection. */
  readonly startMs: number;
  readonly rssBytes: number;
  /** Bytes of RSS for each keep-alive connection that has had one answer and waits. */
  readonly bytesPerConnection: number;
}

/** Whatever a peer has to be able to. */
const WANTED = CASES[0] as Case;

export const idle: Experiment = { name: 'idle', title: 'Idle', onlyWhenNamed: false, run };

async function run(session: Session): Promise<void> {
  const able = ableTo(session, session.peers, (peer) => peer.missing(WANTED));
  const samples = await byTurns(session, able, session.options.rounds ?? 1, (peer) =>
    measureIdle(session.bench, peer),
  );
  session.say(`${idleTable(samples)}\n`);
}

function idleTable(samples: ReadonlyMap<string, readonly IdleSample[]>): string {
  const rows = [...samples].map(([peer, list]) => [
    peer,
    figure(median(list.map((sample) => sample.startMs))),
    figure(median(list.map((sample) => sample.rssBytes)) / (1 << 20)),
    figure(median(list.map((sample) => sample.bytesPerConnection)) / 1024),
  ]);
  return markdownTable([['proxy', 'exec to serving ms', 'RSS MiB', 'KiB/idle connection'], ...rows]);
}

async function measureIdle(bench: Workbench, peer: Peer): Promise<IdleSample> {
  const upstream = await startUpstream(bench, WANTED);
  const port = await freePort();
  const child = await peer.start(bench, {
    case: WANTED,
    port,
    upstreamPort: upstream.port,
    workers: 1,
    cores: PROXY_CORE,
  });
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
