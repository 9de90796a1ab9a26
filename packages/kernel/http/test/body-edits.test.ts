import { type HttpFilter, type HttpStream, Trailers } from '@dragoman/core';
import { describe, expect, test } from 'vitest';
import { ManagerRig, respond } from './manager-rig.ts';
import { DIRECTIONS, type Hooks, PipelineRig } from './pipeline-support.ts';

describe.each(DIRECTIONS)('body of a filter, %s', (direction) => {
  const seen = () => {
    const log: string[] = [];
    const hooks: Hooks = {
      headers: (end) => void log.push(`H${end ? '!' : ''}`),
      body: (chunk, end) => void log.push(`${chunk}${end ? '!' : ''}`),
      trailers: () => void log.push('T'),
    };
    return { log, hooks };
  };

  test('added to a message without any is its body', () => {
    const behind = seen();
    const rig = new PipelineRig(direction, [{ headers: () => rig.add('new') }, behind.hooks]);
    expect(rig.headers(true)).toEqual(['headers', 'body:new!']);
    expect(behind.log).toEqual(['H', 'new!']);
  });

  test('added to a message without any, with trailers besides', () => {
    const behind = seen();
    const rig: PipelineRig = new PipelineRig(direction, [
      {
        headers: () => {
          rig.add('new');
          rig.sink.added = new Trailers();
        },
      },
      behind.hooks,
    ]);
    expect(rig.headers(true)).toEqual(['headers', 'body:new', 'trailers']);
    expect(behind.log).toEqual(['H', 'new', 'T']);
  });

  test('added while the headers of a message without any are held', () => {
    const rig = new PipelineRig(direction, [{ headers: () => 'pause' }, {}]);
    rig.headers(true);
    rig.add('new');
    expect(rig.resume()).toEqual(['headers', 'body:new!']);
  });

  test('added to headers that a filter behind holds', () => {
    const rig = new PipelineRig(direction, [{ headers: () => rig.add('new') }, { headers: () => 'pause' }]);
    expect(rig.headers(true)).toEqual([]);
    expect(rig.resume(1)).toEqual(['headers', 'body:new!']);
  });

  test.each([
    ['with a body hook', { body: () => undefined }],
    ['without one', {}],
  ])('added to headers goes before the body: %s', (_, hooks: Hooks) => {
    const behind = seen();
    const rig = new PipelineRig(direction, [{ ...hooks, headers: () => rig.add('new') }, behind.hooks]);
    expect(rig.headers()).toEqual(['headers', 'body:new']);
    expect(rig.body('old', true)).toEqual(['body:old!']);
    expect(behind.log).toEqual(['H', 'new', 'old!']);
  });

  test('added to the body goes before the chunk in hand', () => {
    const rig = new PipelineRig(direction, [{ body: () => rig.add('new,') }]);
    rig.headers();
    expect(rig.body('old', true)).toEqual(['body:new,old!']);
  });

  test('added to trailers goes before them, and behind what was collected', () => {
    const behind = seen();
    const collect: Hooks = {
      headers: () => 'collect',
      body: () => 'collect',
      trailers: () => rig.add('new'),
    };
    const rig = new PipelineRig(direction, [collect, behind.hooks]);
    expect([...rig.headers(), ...rig.body('old,')]).toEqual([]);
    expect(rig.trailers()).toEqual(['headers', 'body:old,new', 'trailers']);
    expect(behind.log).toEqual(['H', 'old,new', 'T']);
  });

  test('taken does not go on, and frees its room', () => {
    const taken: string[] = [];
    const hooks: Hooks = {
      headers: () => 'collect',
      body: (_chunk, end) => {
        taken.push(rig.take());
        return end ? Buffer.from('all') : 'collect';
      },
    };
    const rig = new PipelineRig(direction, [hooks], 4);
    rig.headers();
    for (const text of ['abc', 'def', 'ghi']) expect(rig.body(text)).toEqual([]);
    expect(rig.body('jkl', true)).toEqual(['headers', 'body:all!']);
    expect(taken).toEqual(['', 'abc', 'def', 'ghi']);
  });

  test('taken at the trailers', () => {
    const hooks: Hooks = {
      headers: () => 'collect',
      body: () => 'collect',
      trailers: () => {
        rig.add(`<${rig.take()}>`);
      },
    };
    const rig = new PipelineRig(direction, [hooks]);
    rig.headers();
    rig.body('old');
    expect(rig.trailers()).toEqual(['headers', 'body:<old>', 'trailers']);
  });

  test('added when the stream is over is dropped', () => {
    const rig = new PipelineRig(direction, [{ headers: () => 'pause' }]);
    rig.headers(true);
    rig.sink.finished = true;
    rig.add('new');
    expect(rig.held()).toBe('');
  });
});

describe('on a connection', () => {
  test('a response of headers alone gets a body', async () => {
    const rig = new ManagerRig({
      filters: {
        adder: (stream: HttpStream): HttpFilter => ({
          onRequestHeaders: () => stream.addRequestBody(Buffer.from('asked')),
          onResponseHeaders: () => stream.addResponseBody(Buffer.from('answer')),
        }),
      },
      upstream: {
        headers() {},
        body(stream) {
          stream.sendHeaders(respond(200), true);
          return true;
        },
      },
    });
    await rig.request();
    expect(rig.upstream).toEqual(['GET /', 'body:asked!', 'complete']);
    expect(rig.response.body.toString()).toBe('answer');
  });

  test('trailers become the end of the body', async () => {
    const rig = new ManagerRig({
      manager: { http_protocol_options: { enable_trailers: true } },
      filters: {
        web: (stream: HttpStream): HttpFilter => ({
          onResponseTrailers: (trailers) => {
            stream.addResponseBody(Buffer.from(`x:${trailers.get('x')}`));
            trailers.removeWhere(() => true);
          },
        }),
      },
      upstream: {
        headers(stream) {
          stream.sendHeaders(respond(200), false);
          stream.sendBody(Buffer.from('body,'), false, true);
          const trailers = new Trailers();
          trailers.set('x', 'y');
          stream.sendTrailers(trailers);
        },
      },
    });
    await rig.request();
    expect([rig.response.body.toString(), rig.response.trailers]).toEqual(['body,x:y', []]);
  });
});
