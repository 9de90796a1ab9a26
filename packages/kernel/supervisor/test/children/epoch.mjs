// A proxy's epoch in small: listens on sockets of its supervisor, and answers each connection with its number.
//   --address <json>    where, as in the protocol
//   --workers <n,…>     sockets to ask for, by epoch; the last one stands for those after it
//   --fail <epoch>      which epoch exits with code 7 in place of serving
//   --report            tell the test, over the channel, what happens
import { createServer } from 'node:net';
import { SupervisorLink } from '../../src/supervisor-link.ts';

const flag = (name) => process.argv[process.argv.indexOf(`--${name}`) + 1];
const report = (report) => process.send?.({ test: true, epoch: link.epoch, ...report });

const link = SupervisorLink.connect(process);
const workers = flag('workers').split(',').map(Number);
const wanted = {
  key: 'main',
  address: JSON.parse(flag('address')),
  count: workers[Math.min(link.epoch, workers.length - 1)],
  reusePort: true,
};
const servers = [];
let answered = 0;

function serve(socket) {
  socket.on('error', () => {});
  socket.once('data', () => {
    answered++;
    socket.end(`epoch ${link.epoch}`);
  });
}

async function stop() {
  const closed = servers.map((server) => new Promise((resolve) => server.close(resolve)));
  link.release('main');
  await Promise.all(closed);
  await link.exiting({ answered });
  process.exit(0);
}

link.onAdminTakeover = async () => ({ answered, never: Number.POSITIVE_INFINITY });
link.onDrain = () => void stop();
link.onTerminate = () => process.exit(0);
link.onResume = () => report({ what: 'resume' });
link.onParentGone = (stats) => report({ what: 'parent-gone', stats });
link.onDisconnect = () => void stop();
process.on('SIGTERM', () => void stop());

try {
  const { handles, address } = await link.sockets(wanted);
  const parent = await link.takeOverAdmin();
  for (const { fd } of handles) {
    const server = createServer(serve);
    servers.push(server);
    await new Promise((resolve, reject) => server.once('error', reject).listen({ fd }, resolve));
  }
  if (Number(flag('fail')) === link.epoch) process.exit(7);
  link.live();
  report({ what: 'live', address, sockets: handles.length, parent });
} catch (error) {
  report({ what: 'failed', code: error.code, message: error.message });
  await link.exiting();
  process.exit(3);
}
