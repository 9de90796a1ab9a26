/**
 * Reads bulk bytes and counts them: `node bulk-client.ts PORT CONNECTIONS SECONDS`. Prints `{"bytes":…,"seconds":…}`.
 * Reads into one buffer, again and again: the bytes themselves do not matter, only how fast they come.
 */
import { connect, type Socket } from 'node:net';

const [port, connections, seconds] = process.argv.slice(2).map(Number) as [number, number, number];
// Asked for many times at once: the upstream answers one after the other without a pause in between.
const requests = 'GET /bulk HTTP/1.1\r\nhost: bench\r\n\r\n'.repeat(16);
const buffer = Buffer.allocUnsafeSlow(256 * 1024);
const sockets: Socket[] = [];
let bytes = 0;
let asked = 0;

for (let i = 0; i < connections; i++) {
  let received = 0;
  const socket = connect({
    port,
    host: '127.0.0.1',
    onread: {
      buffer,
      callback: (size) => {
        bytes += size;
        received += size;
        if (received > 8 * 64 * 1024 * 1024) {
          received = 0;
          socket.write(requests.slice(0, requests.length / 2));
        }
        return true;
      },
    },
  });
  socket.on('connect', () => {
    asked++;
    socket.write(requests);
  });
  socket.on('error', (error) => {
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  });
  sockets.push(socket);
}

const start = performance.now();
setTimeout(() => {
  const took = (performance.now() - start) / 1000;
  process.stdout.write(JSON.stringify({ bytes, seconds: took, connections: asked }));
  for (const socket of sockets) socket.destroy();
}, seconds * 1000);
