import { once } from 'node:events';
import * as http2 from 'node:http2';
import { connect, type AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { resetStream } from '../src/reset-stream.ts';

/** Frames of stream 1: type, flags, and the code of RST_STREAM. */
function frames(bytes: Buffer): string[] {
  const list: string[] = [];
  for (let at = 0; at + 9 <= bytes.length; ) {
    const size = bytes.readUIntBE(at, 3);
    const [type, flags] = [bytes[at + 3], bytes[at + 4]];
    if (bytes.readUInt32BE(at + 5) === 1)
      list.push(type === 3 ? `RST_STREAM ${bytes.readUInt32BE(at + 9)}` : `${type}/${flags}`);
    at += 9 + size;
  }
  return list;
}

/** `GET /` of host `a` on stream 1, all that a client says. */
const REQUEST = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
  Buffer.from([0, 0, 6, 1, 5, 0, 0, 0, 1, 0x82, 0x86, 0x84, 0x41, 0x01, 0x61]),
]);

test.each([2, 8, 11])('code %i goes out alone: no END_STREAM before it', async (code) => {
  const server = http2.createServer();
  server.on('stream', (stream: http2.ServerHttp2Stream) => {
    stream.on('error', () => {});
    stream.respond({ ':status': 200 });
    stream.write('half of it', () => resetStream(stream, code));
    const { session } = stream;
    stream.on('close', () => session?.close());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.write(REQUEST);
  await once(socket, 'close');
  expect(frames(Buffer.concat(chunks))).toEqual(['1/4', '0/0', `RST_STREAM ${code}`]);
  await new Promise((resolve) => server.close(resolve));
});
