import { FrameClient, frames } from '@dragoman/testing';
import { emptyRuntime, type Runtime } from '@dragoman/core';
import { describe, expect, it } from 'vitest';
import { ManagerRig, ok } from './manager-rig.ts';

/** A client of frames before a connection manager whose upstream answers `/ok`, and nothing else. */
async function start(
  runtime: Readonly<Record<string, number>> = {},
): Promise<{ rig: ManagerRig; client: FrameClient }> {
  const values: Runtime = { ...emptyRuntime, getInteger: (key, fallback) => runtime[key] ?? fallback };
  const rig = new ManagerRig({
    upstream: {
      headers: (stream, headers) => {
        if (headers.path === '/ok') ok(stream);
      },
    },
    context: { runtime: values },
  });
  const client = new FrameClient((bytes) => rig.pair.client.writeBody(bytes, false));
  let seen = 0;
  const run = rig.run.bind(rig);
  rig.run = async () => {
    for (let i = 0; i < 3; i++) {
      await run();
      client.feed(rig.client.bytes.subarray(seen));
      seen = rig.client.bytes.length;
    }
  };
  client.begin();
  await rig.run();
  return { rig, client };
}

describe('streams that are reset too soon', () => {
  const reset = async (at: Awaited<ReturnType<typeof start>>, from: number, count: number): Promise<void> => {
    for (let i = 0; i < count; i++) {
      const id = 1 + 2 * (from + i);
      at.client.request(id, { ':path': '/never' }).send(frames.rstStream(id));
      if (i % 40 === 39) await at.rig.run();
    }
    await at.rig.run();
  };
  const served = async (
    at: Awaited<ReturnType<typeof start>>,
    from: number,
    count: number,
  ): Promise<void> => {
    for (let i = 0; i < count; i++) {
      at.client.request(1 + 2 * (from + i), { ':path': '/ok' });
      if (i % 40 === 39) await at.rig.run();
    }
    await at.rig.run();
  };

  it('half of 500 end the connection, before there are as many', async () => {
    const at = await start();
    await reset(at, 0, 249);
    expect(at.rig.closed).toBe(false);
    await reset(at, 249, 1);
    expect(at.rig.closed).toBe(true);
    expect(at.rig.stat('downstream_rq_too_many_premature_resets')).toBe(1);
    expect(at.rig.stat('downstream_rq_active')).toBe(0);
    expect(at.rig.stat('downstream_cx_active')).toBe(0);
  });

  it('fewer than half of all do not', async () => {
    const at = await start({ 'overload.premature_reset_total_stream_count': 20 });
    await served(at, 0, 31);
    await reset(at, 31, 30);
    expect(at.rig.closed).toBe(false);
    await reset(at, 61, 1);
    expect(at.rig.closed).toBe(true);
  });

  it('a stream that had its time is not one of them', async () => {
    const at = await start({ 'overload.premature_reset_total_stream_count': 4 });
    for (let i = 0; i < 10; i++) {
      const id = 1 + 2 * i;
      at.client.request(id, { ':path': '/never' });
      await at.rig.run();
      await at.rig.advance(2000);
      at.client.send(frames.rstStream(id));
      await at.rig.run();
    }
    expect(at.rig.closed).toBe(false);
    await reset(at, 10, 10);
    expect(at.rig.closed).toBe(true);
  });

  it('the lifetime is whole seconds, and runtime may say another', async () => {
    const at = await start({
      'overload.premature_reset_total_stream_count': 4,
      'overload.premature_reset_min_stream_lifetime_seconds': 5,
    });
    for (const id of [1, 3]) {
      at.client.request(id, { ':path': '/never' });
      await at.rig.run();
      await at.rig.advance(5999);
      at.client.send(frames.rstStream(id));
      await at.rig.run();
    }
    expect(at.rig.closed).toBe(true);
  });

  it('those that we reset ourselves count, as a client can bring that about', async () => {
    const at = await start({ 'overload.premature_reset_total_stream_count': 4 });
    for (let i = 0; i < 2; i++) {
      const fields = Object.fromEntries(Array.from({ length: 102 }, (_, k) => [`x-${k}`, 'v']));
      at.client.request(1 + 2 * i, fields);
      await at.rig.run();
    }
    expect(at.rig.closed).toBe(true);
    expect(at.rig.logged).toEqual([
      expect.stringContaining('http2.too_many_headers'),
      expect.stringContaining('http2.too_many_headers'),
    ]);
  });

  it('the end of a connection with many streams is no reset of theirs', async () => {
    const at = await start({ 'overload.premature_reset_total_stream_count': 4 });
    for (let i = 0; i < 50; i++) at.client.request(1 + 2 * i, { ':path': '/never' });
    await at.rig.run();
    at.rig.pair.client.close('reset');
    await at.rig.run();
    expect(at.rig.stat('downstream_rq_too_many_premature_resets')).toBe(0);
    expect(at.rig.stat('downstream_rq_active')).toBe(0);
  });
});
