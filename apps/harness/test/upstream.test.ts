import { rawClient } from '@dragoman/testing';
import { expect, test } from 'vitest';
import { startUpstream, type UpstreamOptions } from '../src/index.ts';

async function ask(port: number, path = '/', times = 1) {
  await using client = await rawClient({ port });
  const answers: { status: number; body: string }[] = [];
  for (let i = 0; i < times; i++) {
    await client.write(`GET ${path} HTTP/1.1\r\nhost: a\r\n\r\n`);
    const { status, body } = await client.readResponse();
    answers.push({ status, body: body.toString() });
  }
  return answers;
}

test.each<[UpstreamOptions, string]>([
  [{}, 'GET /a?b\n'],
  [{ body: 'hello' }, 'hello'],
  [{ body: '' }, ''],
])('%j answers %j', async (options, body) => {
  await using upstream = await startUpstream(options);
  await using client = await rawClient({ port: upstream.port });
  await client.write('GET /a?b HTTP/1.1\r\nhost: a\r\n\r\n');
  const response = await client.readResponse();
  expect(response.status).toBe(200);
  expect(response.body.toString()).toBe(body);
});

test('fails every third time, and says why', async () => {
  await using upstream = await startUpstream({ failEvery: 3, body: 'fine' });
  const answers = await ask(upstream.port, '/', 7);
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 503, 200, 200, 503, 200]);
  expect(answers[2].body).toBe('failing on purpose\n');
});

test('waits before it answers', async () => {
  const asked: number[] = [];
  const waiting = Promise.withResolvers<void>();
  const go = Promise.withResolvers<void>();
  await using upstream = await startUpstream({
    latencyMs: 800,
    wait: (ms) => {
      asked.push(ms);
      waiting.resolve();
      return go.promise;
    },
  });
  await using client = await rawClient({ port: upstream.port });
  await client.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
  await waiting.promise;
  expect(asked).toEqual([800]);
  go.resolve();
  expect((await client.readResponse()).status).toBe(200);
});

test('a client that did not wait does not matter, and nothing piles up', async () => {
  const waiting = Promise.withResolvers<void>();
  const go = Promise.withResolvers<void>();
  const upstream = await startUpstream({
    latencyMs: 1,
    wait: () => {
      waiting.resolve();
      return go.promise;
    },
  });
  const client = await rawClient({ port: upstream.port });
  await client.write('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n12');
  await waiting.promise;
  client.reset();
  go.resolve();
  await ask(upstream.port, '/', 5);
  expect(upstream.requests).toHaveLength(0);
  // Rejects when an answer threw.
  await upstream.stop();
});

test('a taken port', async () => {
  await using upstream = await startUpstream();
  await expect(startUpstream({ port: upstream.port })).rejects.toMatchObject({ code: 'EADDRINUSE' });
});
