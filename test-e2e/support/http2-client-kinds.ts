import { request } from 'node:http';
import { connect } from 'node:http2';
import { FrameConnection } from '@dragoman/testing';
import { GOOD } from './http2-client-cases.ts';

/** A request under way. */
export interface Asked {
  /** `whole`, a status and `whole` when the response is another one, `cut`, or a status above 499. */
  readonly result: Promise<string>;
  /** Takes the response, where that was not wanted before. */
  read(): void;
  close(): void;
}

export interface Asking {
  readonly port: number;
  readonly path: string;
  /** The request does not end. */
  readonly open: boolean;
  /** The response is not read before it is said. */
  readonly slow: boolean;
}

export type Ask = (asking: Asking) => Promise<Asked>;

/** In words. A complete response that is not the one which was sent has to stand out. */
function told(status: number, complete: boolean, body: string): string {
  if (!complete) return 'cut';
  if (status >= 500) return String(status);
  return status === 200 && body === GOOD ? 'whole' : `${status} whole ${JSON.stringify(body.slice(0, 99))}`;
}

/** HTTP/1.1. */
export const askHttp1: Ask = async ({ port, path, open, slow }) => {
  const asked = request({ host: '127.0.0.1', port, path, method: open ? 'POST' : 'GET', agent: false });
  let read = (): void => {};
  const result = new Promise<string>((resolve) => {
    asked.on('error', () => resolve('cut'));
    asked.on('response', (response) => {
      let body = '';
      const finish = (): void => resolve(told(response.statusCode ?? 0, response.complete, body));
      read = () => void response.on('data', (chunk: Buffer) => (body += chunk.toString('latin1')));
      response.on('error', finish).on('close', finish);
      response.on('end', finish);
      if (!slow) read();
    });
  });
  if (open) asked.flushHeaders();
  else asked.end();
  return { result, read: () => read(), close: () => asked.destroy() };
};

/** HTTP/2, with windows that are never opened further. */
export const askHttp2: Ask = async ({ port, path, open }) => {
  const client = await FrameConnection.connect({ port });
  client.begin().request(1, { ':path': path, ':method': open ? 'POST' : 'GET' }, !open);
  const result = client.complete(1).then(
    ({ status, ended, body }) => told(status, ended, body.toString('latin1')),
    () => 'cut',
  );
  return { result, read() {}, close: () => client.socket.destroy() };
};

/** `node:http2` itself, with nothing in between. */
export const askPlain: Ask = async ({ port, path, open, slow }) => {
  const session = connect(`http://127.0.0.1:${port}`, { settings: { enablePush: false } });
  session.on('error', () => {});
  const stream = session.request({ ':path': path, ':method': open ? 'POST' : 'GET' }, { endStream: !open });
  let status = 0;
  let body = '';
  let ended = false;
  const read = (): void => void stream.on('data', (chunk: Buffer) => (body += chunk.toString('latin1')));
  const result = new Promise<string>((resolve) => {
    const finish = (): void => resolve(told(status, ended && status > 0 && stream.rstCode === 0, body));
    stream.on('response', (headers) => (status = Number(headers[':status'])));
    stream.on('error', () => {}).on('close', finish);
    stream.on('end', () => {
      ended = true;
      if (open) finish();
    });
  });
  if (!slow) read();
  return { result, read, close: () => session.destroy() };
};
