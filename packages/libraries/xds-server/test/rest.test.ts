import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { restHandler, SnapshotCache, snapshot, XdsError, XdsProtocol } from '../src/index.ts';
import { cluster, endpoints } from './support/resources.ts';

describe('REST-JSON', () => {
  const cache = new SnapshotCache();
  const seen: string[] = [];
  const protocol = new XdsProtocol({
    cache,
    limits: { requestBytes: 1000, namesPerType: 3 },
    callbacks: {
      onFetch({ node }, peer) {
        seen.push(`${node?.id} ${peer.header('X-Token')} ${peer.address.replace(/\d+$/, 'port')}`);
        if (node?.id === 'banned') throw new XdsError('PERMISSION_DENIED', 'go away');
        if (node?.id === 'broken') throw new Error('a bug');
      },
    },
  });
  let server: Server;
  let port: number;

  beforeAll(async () => {
    cache.setSnapshot(
      'test',
      snapshot('1', { clusters: [cluster('a')], endpoints: [endpoints('a'), endpoints('b')] }),
    );
    server = createServer(restHandler(protocol));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    ({ port } = server.address() as AddressInfo);
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });

  async function post(path: string, body: unknown, method = 'POST') {
    const content = typeof body === 'string' ? body : JSON.stringify(body);
    const response = await fetch(`http://127.0.0.1:${port}/v3/discovery:${path}`, {
      method,
      headers: { 'x-token': 't' },
      ...(method === 'POST' ? { body: content } : {}),
    });
    const text = await response.text();
    return { status: response.status, text, json: response.status === 200 ? JSON.parse(text) : undefined };
  }

  const from = (id: string) => ({ node: { id, a_field_of_tomorrow: 1 } });

  it('answers a poll', async () => {
    const { status, json } = await post('clusters', from('test'));
    expect(status).toBe(200);
    const type = 'type.googleapis.com/envoy.config.cluster.v3.Cluster';
    expect(json).toEqual({ version_info: '1', type_url: type, resources: [{ '@type': type, name: 'a' }] });
    expect(seen.at(-1)).toBe('test t 127.0.0.1:port');
  });

  it('says 304 to the newest version, of everything or of the same names', async () => {
    expect(await post('clusters', { ...from('test'), version_info: '1' })).toMatchObject({
      status: 304,
      text: '',
    });
    expect(await post('clusters', { ...from('test'), version_info: '0' })).toMatchObject({ status: 200 });
    const { json } = await post('endpoints', { ...from('test'), resource_names: ['a'] });
    expect(json.resources).toHaveLength(1);
    const { version_info } = json;
    expect(await post('endpoints', { ...from('test'), version_info, resource_names: ['a'] })).toMatchObject({
      status: 304,
    });
    const more = await post('endpoints', { ...from('test'), version_info, resource_names: ['b', 'a'] });
    expect(more.json.resources).toHaveLength(2);
  });

  it.each<[string, string, unknown, number, string]>([
    ['a node without a snapshot', 'clusters', from('ghost'), 404, 'there is nothing of type'],
    ['no node', 'clusters', {}, 400, 'which node'],
    ['another type', 'clusters', { ...from('test'), type_url: 'x/y' }, 400, 'resources of type'],
    ['what is no JSON', 'clusters', '{', 400, 'no DiscoveryRequest'],
    ['what is no request', 'clusters', '[1]', 400, 'no DiscoveryRequest'],
    ['deep JSON', 'clusters', '['.repeat(400) + ']'.repeat(400), 400, 'no DiscoveryRequest'],
    [
      'too many names',
      'clusters',
      { ...from('test'), resource_names: ['1', '2', '3', '4'] },
      429,
      'more than 3',
    ],
    [
      'resource locators',
      'clusters',
      { ...from('test'), resource_locators: [{ name: 'a' }] },
      501,
      'locators',
    ],
    ['a service that has none', 'virtual-hosts', from('test'), 404, 'no such path'],
    ['whom a callback refuses', 'clusters', from('banned'), 403, 'go away'],
    ['a callback that fails', 'clusters', from('broken'), 500, 'failed to serve'],
    ['a large body', 'clusters', 'x'.repeat(5000), 413, 'at most 1000 bytes'],
  ])('refuses %s', async (_, path, body, status, text) => {
    const answer = await post(path, body);
    expect(answer.status).toBe(status);
    expect(answer.text).toContain(text);
    expect(answer.text).not.toContain('a bug');
  });

  it('is posted to', async () => {
    expect(await post('clusters', '', 'GET')).toMatchObject({ status: 405 });
  });

  it('outlives a client that goes in the middle', async () => {
    const socket = connect(port, '127.0.0.1');
    await new Promise<void>((resolve) => socket.once('connect', () => resolve()));
    socket.write('POST /v3/discovery:clusters HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{');
    await new Promise<void>((resolve) => server.once('request', () => resolve()));
    socket.destroy();
    expect(await post('clusters', from('test'))).toMatchObject({ status: 200 });
  });
});
