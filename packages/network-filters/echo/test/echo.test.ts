import { create, EchoSchema } from '@dragoman/api';
import { filteredPair, networkFilterConformance, testContext } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { echo } from '../src/index.ts';

const config = create(EchoSchema) as never;
const createEcho = () => echo.create(config, testContext());

networkFilterConformance({ describe, it }, { extension: echo, config });

it('is terminal', () => expect(echo.terminal).toBe(true));

it('sends back what it gets, and the end after it', () => {
  const pair = filteredPair(createEcho());
  pair.client.writeText('one ');
  pair.run();
  pair.client.writeText('two');
  pair.client.end();
  pair.run();
  expect(pair.received().toString()).toBe('one two');
  expect(pair.events).toEqual(['end', 'close']);
});

it('reads nothing while the peer does not read', () => {
  const pair = filteredPair(createEcho(), { highWatermarkBytes: 10, chunkBytes: 4 });
  pair.client.pauseReading();
  pair.client.writeBody(Buffer.alloc(1000, 'x'), false);
  pair.run();
  expect(pair.server.readingPaused).toBe(true);
  expect(pair.server.bytesRead).toBe(12);
  pair.client.resumeReading();
  pair.run();
  expect(pair.received()).toHaveLength(1000);
  expect(pair.server.readingPaused).toBe(false);
});
