import { rmSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import { connect, type ClientHttp2Session } from 'node:http2';
import { request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createProxy, type Proxy as RunningProxy } from '@dragoman/server';
import { RecordingLoggers, rawClient } from '@dragoman/testing';
import { extensions } from 'dragoman';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { certificatesFolder, exampleText } from './certificates.ts';

// The examples as they are, but for ports and the folder of certificates.

const { folder, authority } = certificatesFolder();
let service: Server;
/** Headers of the requests that the service has had. */
const seen: IncomingHttpHeaders[] = [];

beforeAll(async () => {
  service = createServer((message, response) => {
    seen.push(message.headers);
    response.end(`${message.method} ${message.url}`);
  });
  service.listen(0, '127.0.0.1');
  await new Promise((resolve) => service.once('listening', resolve));
});

afterAll(async () => {
  service.closeAllConnections();
  await new Promise((resolve) => service.close(resolve));
  rmSync(folder, { recursive: true });
});

/** Runs an example. @param ports what stands in place of those that it names */
function start(file: string, ports: Readonly<Record<number, number>>): Promise<RunningProxy> {
  let text = exampleText(file, folder).replaceAll(/port_value: (10000|10443|990\d)/g, (found, port) =>
    ports[Number(port)] === undefined ? 'port_value: 0' : found,
  );
  for (const [from, to] of Object.entries(ports))
    text = text.replaceAll(`port_value: ${from} `, `port_value: ${to} `);
  const loggers = new RecordingLoggers();
  return createProxy({
    bootstrap: text,
    extensions,
    log: { logger: (name) => loggers.logger(name), loggers: () => [], setLevel() {} },
  });
}

const servicePort = () => (service.address() as AddressInfo).port;

describe('tls-termination.yaml', () => {
  let proxy: RunningProxy;
  beforeAll(async () => {
    proxy = await start('tls-termination.yaml', { 8080: servicePort() });
  });
  afterAll(() => proxy.close());

  test('HTTP/1.1 for a client that knows nothing else', async () => {
    const { port } = proxy.address('https');
    const [status, text, hsts] = await new Promise<unknown[]>((resolve, reject) => {
      const asked = request(
        {
          host: '127.0.0.1',
          port,
          path: '/x',
          servername: 'www.example',
          headers: { host: 'www.example' },
          ca: authority.pem,
          agent: false,
        },
        (response) => {
          response.setEncoding('utf8');
          response.on('data', (data) =>
            resolve([response.statusCode, data, response.headers['strict-transport-security']]),
          );
        },
      );
      asked.on('error', reject);
      asked.end();
    });
    expect([status, text, hsts]).toEqual([200, 'GET /x', 'max-age=86400']);
    expect(seen.at(-1)?.['x-forwarded-proto']).toBe('https');
  });

  test('HTTP/2 for one that does', async () => {
    const session = connect(`https://127.0.0.1:${proxy.address('https').port}`, {
      servername: 'www.example',
      ca: authority.pem,
    });
    expect(await ask(session, 'www.example')).toEqual([200, 'GET /']);
    session.close();
  });

  test('plain HTTP is sent to https', async () => {
    await using client = await rawClient({ port: proxy.address('http').port });
    await client.write('GET /a HTTP/1.1\r\nhost: www.example\r\n\r\n');
    const response = await client.readResponse();
    expect([response.status, response.header('location')]).toEqual([301, 'https://www.example/a']);
  });
});

describe('mtls-client.yaml and mtls-server.yaml', () => {
  test('the service knows who asks', async () => {
    const inbound = await start('mtls-server.yaml', { 8080: servicePort() });
    const outbound = await start('mtls-client.yaml', { 10443: inbound.address('inbound').port });
    await using client = await rawClient({ port: outbound.address('outbound').port });
    await client.write('GET /orders HTTP/1.1\r\nhost: orders\r\nx-forwarded-client-cert: URI=forged\r\n\r\n');
    const response = await client.readResponse();
    expect([response.status, response.body.toString()]).toEqual([200, 'GET /orders']);
    const { counters } = inbound.stats;
    expect(counters.get('http.inbound.downstream_rq_http2_total')?.value).toBe(1);
    expect(seen.at(-1)?.['x-forwarded-client-cert']).toMatch(
      /^By=spiffe:\/\/mesh\.example\/orders;Hash=[0-9a-f]{64};Subject="CN=shop";URI=spiffe:\/\/mesh\.example\/shop$/,
    );
    // What an operator sees of it.
    await using admin = await rawClient({ port: inbound.adminAddress?.port ?? 0 });
    await admin.write('GET /certs HTTP/1.1\r\nhost: admin\r\n\r\n');
    const { certificates } = JSON.parse((await admin.readResponse()).body.toString());
    expect(certificates).toMatchObject([
      {
        ca_cert: [{ path: `${folder}/certs/ca.pem` }],
        cert_chain: [
          {
            path: `${folder}/certs/server.pem`,
            subject_alt_names: [{ uri: 'spiffe://mesh.example/orders' }],
          },
        ],
      },
    ]);
    await outbound.close();
    await inbound.close();
  });

  test('a client without a certificate is not let in', async () => {
    const inbound = await start('mtls-server.yaml', { 8080: servicePort() });
    const before = seen.length;
    const session = connect(`https://127.0.0.1:${inbound.address('inbound').port}`, {
      rejectUnauthorized: false,
    });
    session.on('error', () => {});
    await expect(ask(session, 'orders')).rejects.toThrow();
    expect(seen.length).toBe(before);
    await inbound.close();
  });
});

/** A GET over a session: status and body. */
function ask(session: ClientHttp2Session, authority: string): Promise<[number | undefined, string]> {
  return new Promise((resolve, reject) => {
    let status: number | undefined;
    let text = '';
    session.on('error', reject);
    const stream = session.request({ ':path': '/', ':authority': authority });
    stream.setEncoding('utf8');
    stream.on('response', (headers) => {
      status = headers[':status'];
    });
    stream.on('data', (chunk) => {
      text += chunk;
    });
    stream.on('error', reject);
    stream.on('end', () => (status === undefined ? reject(new Error('cut off')) : resolve([status, text])));
  });
}
