// What the three services of the quick start share: listen, say so, end with whoever started them.
import { createServer } from 'node:http';

/**
 * @param {string} name
 * @param {number} port on 127.0.0.1
 * @param {import('node:http').RequestListener} handle
 */
export function serve(name, port, handle) {
  const server = createServer(handle);
  server.on('error', (error) => {
    const taken = error.code === 'EADDRINUSE';
    console.error(taken ? `service ${name}: port ${port} is taken` : `service ${name}: ${error.message}`);
    process.exit(1);
  });
  server.listen(port, '127.0.0.1', () => process.send?.('listening'));
  // `npm start` holds a channel to each service: when it is gone, so is the reason to run.
  process.on('disconnect', () => process.exit(0));
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(0));
}
