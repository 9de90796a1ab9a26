import type { CreateHttpFilter, HttpFilter } from '@dragoman/core';
import { responseHeaders } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { type EditedStream, FilterRun, grpcFrames, inPieces, textOf, trailers } from '../src/index.ts';

const bytes = (text: string) => Buffer.from(text);
const run = (make: (stream: EditedStream) => HttpFilter, bufferLimit = 100): FilterRun =>
  new FilterRun(((stream) => make(stream as unknown as EditedStream)) as CreateHttpFilter, { bufferLimit });

describe('FilterRun', () => {
  it('passes what a filter does not hear of', () => {
    const message = { body: [bytes('a'), bytes(''), bytes('b')], trailers: trailers({ a: 'b' }) };
    const passed = run(() => ({})).response(responseHeaders(), message);
    expect(passed).toMatchObject({
      headers: true,
      chunks: [bytes('a'), bytes('b')],
      ended: true,
      overflow: false,
    });
    expect(passed.trailers).toBe(message.trailers);
  });

  it('keeps what is collected until the filter lets it go', () => {
    const held: string[] = [];
    const filter = run((stream) => ({
      onResponseHeaders: () => 'collect',
      onResponseBody: (_chunk, end) => {
        held.push(textOf(Buffer.concat(stream.heldResponseBody)));
        return end ? undefined : 'collect';
      },
    }));
    const passed = filter.response(responseHeaders(), { body: [bytes('a'), bytes('b'), bytes('c')] });
    expect([held, passed.chunks.map(textOf)]).toEqual([['', 'a', 'ab'], ['abc']]);
  });

  it('lets filters change bodies', () => {
    const filter = run((stream) => ({
      onRequestHeaders: () => stream.addRequestBody(bytes('added')),
      onResponseBody: () => 'collect',
      onResponseTrailers: () => {
        stream.takeHeldResponseBody();
        stream.addResponseBody(bytes('other'));
      },
    }));
    expect(filter.request()).toMatchObject({ body: bytes('added'), ended: true });
    const passed = filter.response(responseHeaders(), { body: [bytes('a')], trailers: trailers({}) });
    expect([textOf(passed.body), passed.ended]).toEqual(['other', true]);
  });

  it('takes trailers that a filter adds', () => {
    const filter = run((stream) => ({
      onResponseBody: (_chunk, end) => {
        if (end) stream.addResponseTrailers().append('a', 'b');
      },
    }));
    expect(filter.response(responseHeaders(), { body: [bytes('a')] }).trailers?.get('a')).toBe('b');
  });

  it('stops at a reply, and at the limit', () => {
    const replying = run((stream) => ({
      onRequestBody: () => stream.reply({ status: 400, details: 'bad' }),
    }));
    expect(replying.request({ body: [bytes('a'), bytes('b')] })).toMatchObject({ chunks: [], ended: false });
    const collecting = run(() => ({ onRequestBody: () => 'collect' }), 1);
    expect(collecting.request({ body: [bytes('a'), bytes('b')] })).toMatchObject({
      overflow: true,
      ended: false,
    });
  });

  it('refuses filters that do not answer at once', () => {
    expect(() => run(() => ({ onRequestHeaders: () => 'pause' })).request()).toThrow('at once');
    expect(() => run(() => ({ onRequestBody: async () => {} })).request({ body: [bytes('')] })).toThrow(
      'at once',
    );
  });
});

it('makes and cuts messages', () => {
  expect(grpcFrames('hi', '').toString('hex')).toBe('000000000268690000000000');
  expect(inPieces(bytes('abcdef'), [1, 0, 2, 9]).map(textOf)).toEqual(['a', '', 'bc', 'def']);
  expect(trailers({ a: '1', b: '2' }).entries()).toEqual([
    ['a', '1'],
    ['b', '2'],
  ]);
});
