import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { text } from 'node:stream/consumers';

/** A server on a descriptor, which it then owns; it answers every connection with `answer`. */
export async function serve(fd: number, answer: string): Promise<Server> {
  const server = createServer((socket) => socket.end(answer)).listen({ fd });
  await once(server, 'listening');
  return server;
}

/** What a server sends to a new connection. */
export async function ask(port: number, host = '127.0.0.1'): Promise<string> {
  return await text(connect(port, host));
}

/** The flags of an open descriptor, as fcntl's `O_…` and, for close-on-exec, `O_CLOEXEC`. */
export function flagsOf(fd: number): number {
  const flags = /^flags:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'));
  return Number.parseInt(flags?.[1] ?? '', 8);
}

export const O_NONBLOCK = 0o4000;
export const O_CLOEXEC = 0o2000000;
