import {
  type Cluster,
  type RequestEncoder,
  RequestHeaders,
  StreamInfo,
  type UpstreamConnectionInfo,
} from '@dragoman/core';
import { FakeClock } from '@dragoman/testing';
import { expect, it } from 'vitest';
import { UpstreamRequest } from '../src/upstream-request.ts';

it('asks for the body again after a stop, also when what came behind the stop was taken', () => {
  const clock = new FakeClock();
  let writable = 0;
  const owner = {
    info: new StreamInfo({} as never, 0, 0),
    bufferLimit: 1024,
    onUpstreamReady() {},
    onUpstreamWritable: () => void writable++,
  };
  const answers = [false, true];
  const encoder = { headers() {}, body: () => answers.shift() } as unknown as RequestEncoder;
  const request = new UpstreamRequest(owner as never, clock, new RequestHeaders(), false);
  request.start(
    { httpPool: () => ({ newStream: () => undefined }) } as unknown as Cluster,
    {} as never,
    'default',
  );
  request.onPoolReady(encoder, {} as never, {} as UpstreamConnectionInfo);
  // A filter lets go of two chunks at once: the first fills the connection, the second is small enough to be gathered.
  expect(request.body(Buffer.alloc(16_384), false, true)).toBe(false);
  expect(request.body(Buffer.alloc(16), false, true)).toBe(true);
  request.onWritable();
  expect(writable).toBe(1);
});
