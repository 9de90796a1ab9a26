import { anyPack, create, StatusSchema, StringValueSchema, toBinary } from '@dragoman/api';
import { trailers } from '@dragoman/grpc-testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { endOfStream, errorOf, httpStatusOf, statusOf } from '../src/connect-error.ts';

const status = create(StatusSchema, {
  code: 13,
  details: [anyPack(StringValueSchema, create(StringValueSchema, { value: 'Test Status' }))],
});
const padded = Buffer.from(toBinary(StatusSchema, status)).toString('base64');
const detail = { type: 'type.googleapis.com/google.protobuf.StringValue', value: 'CgtUZXN0IFN0YXR1cw==' };

describe('errors', () => {
  it.each([
    [1, 'canceled', 408],
    [2, 'unknown', 500],
    [3, 'invalid_argument', 400],
    [4, 'deadline_exceeded', 408],
    [5, 'not_found', 404],
    [6, 'already_exists', 409],
    [7, 'permission_denied', 403],
    [8, 'resource_exhausted', 429],
    [9, 'failed_precondition', 412],
    [10, 'aborted', 409],
    [11, 'out_of_range', 400],
    [12, 'unimplemented', 404],
    [13, 'internal', 500],
    [14, 'unavailable', 503],
    [15, 'data_loss', 500],
    [16, 'unauthenticated', 401],
    [9001, 'code_9001', 500],
    [-1, 'code_-1', 500],
  ])('status %d is %s, with %d', (grpcStatus, code, httpStatus) => {
    expect([errorOf(grpcStatus, trailers({})), httpStatusOf(grpcStatus)]).toEqual([{ code }, httpStatus]);
  });

  it.each([
    [{ 'grpc-message': 'Request aborted' }, { message: 'Request aborted' }],
    [{ 'grpc-message': '100%25 %E2%98%83' }, { message: '100% ☃' }],
    [{ 'grpc-message': '' }, {}],
    [{ 'grpc-status-details-bin': padded }, { details: [detail] }],
    [{ 'grpc-status-details-bin': padded.replace(/=+$/, '') }, { details: [detail] }],
    [{ 'grpc-status-details-bin': '' }, {}],
    [{ 'grpc-status-details-bin': '****' }, {}],
    [{ 'grpc-status-details-bin': '/w==' }, {}],
  ])('tell of %o', (fields, expected) => {
    expect(errorOf(10, trailers(fields as Record<string, string>))).toEqual({ code: 'aborted', ...expected });
  });

  it('take any details', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const text = Buffer.from(bytes).toString('base64');
        expect(errorOf(2, trailers({ 'grpc-status-details-bin': text })).code).toBe('unknown');
      }),
    );
  });
});

describe('the end of a stream', () => {
  it.each([
    [{ 'grpc-status': '0' }, {}],
    [{ 'grpc-status': '1' }, { error: { code: 'canceled' } }],
    [{}, { error: { code: 'unknown' } }],
    [{ 'grpc-status': 'x' }, { error: { code: 'code_-1' } }],
    [{ 'grpc-status': '0', test: '1', 'grpc-other': 'x' }, { metadata: { test: ['1'] } }],
    [
      { 'grpc-status': '13', 'custom-metadata': '\xe2\x98\x83' },
      { error: { code: 'internal' }, metadata: { 'custom-metadata': ['☃'] } },
    ],
  ])('with %o', (fields, expected) => {
    expect(JSON.parse(endOfStream(trailers(fields as Record<string, string>), true))).toEqual(expected);
  });

  it('has every value of a name, and any name', () => {
    const fields = trailers({ 'grpc-status': '0' });
    for (const [name, value] of [
      ['test', '1'],
      ['__proto__', 'x'],
      ['test', '2'],
    ] as const)
      fields.append(name, value);
    expect(endOfStream(fields, true)).toBe('{"metadata":{"test":["1","2"],"__proto__":["x"]}}');
    expect(endOfStream(fields, false)).toBe('{}');
  });

  it.each([
    ['0', 0],
    ['16', 16],
    ['17', -1],
    ['', undefined],
  ])('reads the status %j', (text, expected) => {
    expect(statusOf(trailers({ 'grpc-status': text }))).toBe(expected);
  });
});
