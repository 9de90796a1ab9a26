import { existsSync, readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { within } from '@dragoman/testing';

const MIB = 1024 * 1024;
const PART = Buffer.alloc(64 * 1024, 'transfer');

/** Figures are read from /proc: Linux only. */
export const canMeasure = existsSync('/proc/self/status');
export const UNMEASURED = canMeasure ? '' : ' (skipped: there is no /proc here)';

/** Resident memory of a process, in MiB. */
export function residentMib(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'));
  return Number(match?.[1]) / 1024;
}

/** A TCP peer that a transfer goes to or comes from. */
export interface Endpoint {
  readonly port: number;
  /** Its first connection. */
  readonly connection: Promise<Socket>;
  stop(): Promise<void>;
}

export async function listenOnce(): Promise<Endpoint> {
  const accepted = Promise.withResolvers<Socket>();
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    socket.on('error', () => {});
    accepted.resolve(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    connection: accepted.promise,
    stop: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

export async function open(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1' });
  socket.on('error', () => {});
  await within(new Promise<void>((resolve) => socket.once('connect', resolve)), 'connecting');
  socket.pause();
  return socket;
}

/** Sends `total` bytes, no faster than they are taken. */
export class Pump {
  sent = 0;
  readonly done: Promise<void>;
  private readonly socket: Socket;
  private readonly total: number;

  constructor(socket: Socket, total: number) {
    this.socket = socket;
    this.total = total;
    this.done = this.run();
  }

  private async run(): Promise<void> {
    while (this.sent < this.total && !this.socket.destroyed) {
      const part = PART.subarray(0, Math.min(PART.length, this.total - this.sent));
      this.sent += part.length;
      if (!this.socket.write(part)) await new Promise<void>((resolve) => this.socket.once('drain', resolve));
    }
  }
}

/** Settles when nothing has moved for a while: every buffer on the way is full. */
export async function stalled(pump: { readonly sent: number }): Promise<number> {
  let last = -1;
  let quiet = 0;
  while (quiet < 10) {
    quiet = pump.sent === last ? quiet + 1 : 0;
    last = pump.sent;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return last;
}

/**
 * Reads `total` bytes from a socket, a MiB at a time, with a look at the memory of `pid` at every 4 MiB.
 * @returns what it was at each look
 */
export async function readSlowly(socket: Socket, total: number, pid: number): Promise<number[]> {
  const looks: number[] = [];
  let received = 0;
  let since = 0;
  return await new Promise((resolve, reject) => {
    socket.on('data', (chunk: Buffer) => {
      received += chunk.length;
      since += chunk.length;
      if (received >= total) {
        resolve(looks);
        return;
      }
      if (since < MIB) return;
      since = 0;
      if (looks.length * 4 * MIB < received) looks.push(residentMib(pid));
      // Every buffer on the way fills while this one is not reading.
      socket.pause();
      setImmediate(() => setImmediate(() => socket.resume()));
    });
    socket.once('close', () => reject(new Error(`closed after ${received} of ${total} bytes`)));
    socket.resume();
  });
}

/** How much the second half of the looks is above the first, in MiB: what grows with the length of a transfer. */
export function growth(looks: readonly number[]): number {
  const half = Math.floor(looks.length / 2);
  return Math.max(...looks.slice(half)) - Math.max(...looks.slice(0, half));
}
