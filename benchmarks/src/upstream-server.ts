/**
 * The upstream that is ours: `node upstream-server.ts PORT`. It reads as little of a request as it can, so that it is not what
 * is measured. POST bodies come back (what nginx cannot do); GET gets 13 bytes, 1 MiB (`/large`) or 64 MiB (`/bulk`).
 */
import { createServer, type Socket } from 'node:net';
import { BULK_BYTES, LARGE_BYTES } from './cases.ts';

const small = Buffer.from(
  'HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 13\r\n\r\nHello, world!',
);
const block = Buffer.alloc(LARGE_BYTES, 'x');

function head(length: number): Buffer {
  return Buffer.from(`HTTP/1.1 200 OK\r\ncontent-length: ${length}\r\n\r\n`);
}

/** One connection: requests in, answers out in the same order. */
class Connection {
  private readonly socket: Socket;
  private pending = '';
  private echoLeft = 0;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.onData(chunk));
    socket.on('error', () => socket.destroy());
  }

  private onData(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.echoLeft > 0) {
        const part = chunk.subarray(at, at + this.echoLeft);
        this.echoLeft -= part.length;
        at += part.length;
        this.socket.write(part);
        continue;
      }
      this.pending += chunk.toString('latin1', at);
      at = chunk.length;
      for (let end = this.pending.indexOf('\r\n\r\n'); end >= 0; end = this.pending.indexOf('\r\n\r\n')) {
        const request = this.pending.slice(0, end);
        this.pending = this.pending.slice(end + 4);
        this.answer(request);
        if (this.echoLeft > 0) {
          const rest = Buffer.from(this.pending, 'latin1');
          this.pending = '';
          if (rest.length > 0) this.onData(rest);
          break;
        }
      }
    }
  }

  private answer(request: string): void {
    const { socket } = this;
    if (request.startsWith('POST')) {
      const length = Number(/\r\ncontent-length: *(\d+)/i.exec(request)?.[1] ?? 0);
      this.echoLeft = length;
      socket.write(head(length));
    } else if (request.startsWith('GET /large')) {
      socket.cork();
      socket.write(head(LARGE_BYTES));
      socket.write(block);
      socket.uncork();
    } else if (request.startsWith('GET /bulk')) {
      socket.write(head(BULK_BYTES));
      for (let sent = 0; sent < BULK_BYTES; sent += block.length) socket.write(block);
    } else {
      socket.write(small);
    }
  }
}

createServer((socket) => new Connection(socket)).listen(Number(process.argv[2]), '127.0.0.1');
