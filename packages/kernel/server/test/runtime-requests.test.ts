import { type ClientHttp2Session, connect } from 'node:http2';
import { echo, httpBootstrap, HttpUpstream, startProxy, type TestProxy } from '@dragoman/testing';
import { expect, test } from 'vitest';
import { EXTENSIONS } from './extensions.ts';

async function start(upstream: HttpUpstream, manager: object): Promise<TestProxy> {
  const bootstrap = httpBootstrap({
    clusters: { web: upstream.port },
    manager: { ...manager },
    bootstrap: { layered_runtime: { layers: [{ name: 'admin', admin_layer: {} }] } },
  });
  return await startProxy(bootstrap, { extensions: EXTENSIONS });
}

async function post(session: ClientHttp2Session, body: string): Promise<string> {
  const stream = session.request({ ':method': 'POST', ':path': '/' });
  stream.setEncoding('utf8');
  stream.end(body);
  let answer = '';
  for await (const piece of stream) answer += piece;
  return answer;
}

test('requests that wait for their turn lose nothing', async () => {
  await using upstream = await HttpUpstream.start(echo());
  await using proxy = await start(upstream, { codec_type: 'HTTP2' });
  await proxy.admin('/runtime_modify?http.max_requests_per_io_cycle=1', 'POST');
  const session = connect(`http://127.0.0.1:${proxy.port}`);
  const bodies = Array.from({ length: 40 }, (_, i) => `${i}:`.padEnd(i % 2 === 0 ? 4 : 100_000, 'x'));
  expect(await Promise.all(bodies.map((body) => post(session, body)))).toEqual(bodies);
  session.close();
});

test('a path with a fragment is served from one request to the next', async () => {
  await using upstream = await HttpUpstream.start(echo());
  await using proxy = await start(upstream, {});
  expect((await proxy.get('/a#b')).status).toBe(400);
  await proxy.admin('/runtime_modify?envoy.reloadable_features.http_reject_path_with_fragment=false', 'POST');
  expect((await proxy.get('/a#b')).status).toBe(200);
  expect(upstream.requests.map(({ path }) => path)).toEqual(['/a']);
});
