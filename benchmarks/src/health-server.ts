// node health-server.ts <port>: answers every health check that comes, on every address of this machine.
import { createServer } from 'node:net';

const ANSWER = 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n';

createServer({ noDelay: true }, (socket) => {
  socket.on('error', () => {});
  socket.setEncoding('latin1');
  socket.on('data', (text: string) => {
    if (text.endsWith('\r\n\r\n')) socket.write(ANSWER);
  });
}).listen({ port: Number(process.argv[2]), host: '0.0.0.0', backlog: 4096 });
