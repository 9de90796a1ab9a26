// Runs in a network namespace that redirects connections: a proxy stands in their way and sends each on to where it was meant to go. Writes
// what clients got from each of its arguments, over HTTP and over TCP.
import { createServer } from 'node:http';
import { createProxy } from '@dragoman/server';
import { CAPTURE_PORT, PROXY_SOURCE, RecordingLoggers } from '@dragoman/testing';
import { bootstrap, httpListener, type Message, prefixRoute } from './config.ts';
import { EXTENSIONS } from './extensions.ts';

const originalDst = (name: string, more: Message = {}): Message => ({
  name,
  type: 'ORIGINAL_DST',
  lb_policy: 'CLUSTER_PROVIDED',
  // What comes from there is not redirected again.
  upstream_bind_config: { source_address: { address: PROXY_SOURCE, port_value: 0 } },
  ...more,
});

const tcpProxy = {
  name: 'envoy.filters.network.tcp_proxy',
  typed_config: {
    '@type': 'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy',
    stat_prefix: 'tcp',
    cluster: 'tcp',
  },
};

const capture = httpListener({ routes: [prefixRoute('/', 'http')] }) as { filter_chains: Message[] };
const config = bootstrap(
  [
    {
      ...capture,
      name: 'capture',
      address: { socket_address: { address: '0.0.0.0', port_value: CAPTURE_PORT } },
      use_original_dst: true,
      filter_chains: [
        { filter_chain_match: { destination_port: 8081 }, filters: [tcpProxy] },
        ...capture.filter_chains,
      ],
    },
  ],
  [originalDst('http'), originalDst('tcp')],
);

// The servers see by their own address where a connection was meant to go.
const servers = [8080, 8081].map((port) =>
  createServer({ keepAlive: false }, ({ socket }, response) => {
    response.setHeader('connection', 'close');
    response.end(`${socket.localAddress}:${socket.localPort} from ${socket.remoteAddress}`);
  }).listen(port, '0.0.0.0'),
);
await Promise.all(servers.map((server) => new Promise((resolve) => server.once('listening', resolve))));
const loggers = new RecordingLoggers();
const proxy = await createProxy({
  bootstrap: JSON.stringify(config),
  extensions: EXTENSIONS,
  threads: 'inline',
  log: { logger: (name) => loggers.logger(name), loggers: () => [], setLevel() {} },
});
const answers: string[] = [];
for (const target of process.argv.slice(2)) answers.push(await (await fetch(`http://${target}/`)).text());
await proxy.close();
for (const server of servers) server.close();
console.log(JSON.stringify(answers));
