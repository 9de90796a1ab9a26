/** `node node-http2.ts PORT`: answers HTTP/2 requests itself, with nothing behind it. What it costs is what Node's HTTP/2 layer costs. */
import { createServer, type ServerHttp2Stream } from 'node:http2';

const body = Buffer.from('Hello, world!');
const server = createServer({ settings: { maxConcurrentStreams: 1024 } });
server.on('stream', (stream: ServerHttp2Stream) => {
  stream.on('error', () => {});
  stream.respond({ ':status': 200, 'content-type': 'text/plain', 'content-length': body.length }, {
    sendDate: false,
  } as object);
  stream.end(body);
  stream.resume();
});
server.listen(Number(process.argv[2]), '127.0.0.1');
