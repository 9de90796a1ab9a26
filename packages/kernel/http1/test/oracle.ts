import { createServer, type IncomingMessage, request as httpRequest, type Server } from 'node:http';
import { Duplex } from 'node:stream';

/** The two ends of an in-memory connection are one: what is pushed is read, what is written is kept. */
class MemorySocket extends Duplex {
  written = '';
  override _read(): void {}
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.written += chunk.toString('latin1');
    done();
  }
  setTimeout(): this {
    return this;
  }
  setNoDelay(): this {
    return this;
  }
  setKeepAlive(): this {
    return this;
  }
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }
}

export interface Seen {
  readonly method: string;
  readonly target: string;
  readonly headers: readonly (readonly [string, string])[];
  body: string;
  ended: boolean;
}

/**
 * What Node's own server (llhttp) makes of bytes: the requests it serves, and whether it refused something.
 * Each request is answered with an empty 200.
 */
export async function nodeServer(bytes: Buffer): Promise<{ seen: Seen[]; refused: boolean }> {
  const seen: Seen[] = [];
  let refused = false;
  const onRequest = (message: IncomingMessage): Seen => {
    const headers: [string, string][] = [];
    for (let i = 0; i < message.rawHeaders.length; i += 2) {
      headers.push([(message.rawHeaders[i] as string).toLowerCase(), message.rawHeaders[i + 1] as string]);
    }
    const entry: Seen = {
      method: message.method ?? '',
      target: message.url ?? '',
      headers,
      body: '',
      ended: false,
    };
    seen.push(entry);
    message.on('data', (chunk: Buffer) => {
      entry.body += chunk.toString('latin1');
    });
    message.on('end', () => {
      entry.ended = true;
    });
    message.on('error', () => {});
    return entry;
  };
  const server: Server = createServer((message, answer) => {
    onRequest(message);
    message.on('end', () => answer.end());
  });
  server.on('checkContinue', (message, answer) => {
    onRequest(message);
    message.on('end', () => answer.end());
  });
  server.on('clientError', (_error, socket) => {
    refused = true;
    socket.destroy();
  });
  const socket = new MemorySocket();
  const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()));
  server.emit('connection', socket);
  socket.push(bytes);
  socket.push(null);
  socket.on('end', () => setImmediate(() => setImmediate(() => socket.destroy())));
  await closed;
  if (/^HTTP\/1\.1 4/m.test(socket.written)) refused = true;
  return { seen, refused };
}

/** What Node's own client makes of bytes as the response to one request. */
export async function nodeClient(
  method: string,
  bytes: Buffer,
): Promise<{ status: number; body: string; headers: [string, string][] } | 'refused'> {
  const socket = new MemorySocket();
  return await new Promise((resolve) => {
    const call = httpRequest({ method, createConnection: () => socket as never, host: 'a' });
    call.on('error', () => resolve('refused'));
    call.on('response', (message) => {
      const headers: [string, string][] = [];
      for (let i = 0; i < message.rawHeaders.length; i += 2) {
        headers.push([(message.rawHeaders[i] as string).toLowerCase(), message.rawHeaders[i + 1] as string]);
      }
      let body = '';
      message.on('data', (chunk: Buffer) => {
        body += chunk.toString('latin1');
      });
      message.on('end', () => resolve({ status: message.statusCode ?? 0, body, headers }));
      message.on('error', () => resolve('refused'));
    });
    call.on('socket', () => {
      socket.push(bytes);
      socket.push(null);
    });
    call.end();
  });
}
