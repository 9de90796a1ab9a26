import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeGrpcMessage,
  encodeGrpcMessage,
  grpcStatusFromHttp,
  httpStatusFromGrpc,
  isConnectStreaming,
  isGrpc,
  isGrpcWeb,
  isGrpcWebText,
  readGrpcStatus,
} from '../src/index.ts';

describe('statuses', () => {
  it.each([
    [400, 13],
    [401, 16],
    [403, 7],
    [404, 12],
    [429, 14],
    [502, 14],
    [503, 14],
    [504, 14],
    [500, 2],
    [200, 2],
    [0, 2],
  ])('HTTP %d is gRPC %d', (http, grpc) => {
    expect(grpcStatusFromHttp(http)).toBe(grpc);
  });

  it.each([
    [0, 200],
    [1, 499],
    [2, 500],
    [3, 400],
    [4, 504],
    [5, 404],
    [6, 409],
    [7, 403],
    [8, 429],
    [9, 400],
    [10, 409],
    [11, 400],
    [12, 501],
    [13, 500],
    [14, 503],
    [15, 500],
    [16, 401],
    [17, 500],
    [-1, 500],
  ])('gRPC %d is HTTP %d', (grpc, http) => {
    expect(httpStatusFromGrpc(grpc)).toBe(http);
  });

  it.each([
    [undefined, undefined, undefined],
    ['', undefined, undefined],
    ['0', 0, 0],
    ['16', 16, 16],
    ['17', -1, 17],
    ['-1', -1, -1],
    ['1e1', -1, -1],
    ['foo', -1, -1],
  ])('grpc-status %j is %j, or %j of a user', (value, known, any) => {
    expect([readGrpcStatus(value), readGrpcStatus(value, true)]).toEqual([known, any]);
  });
});

describe('grpc-message', () => {
  it.each([
    ['', ''],
    ['plain text!', 'plain text!'],
    ['100%', '100%25'],
    ['~', '%7E'],
    ['a\nb\x7f', 'a%0Ab%7F'],
    ['über ☃', '%C3%BCber %E2%98%83'],
  ])('of %j is %j', (text, value) => {
    expect(encodeGrpcMessage(text)).toBe(value);
    expect(decodeGrpcMessage(value)).toBe(text);
  });

  it.each([
    ['%', '%'],
    ['%4', '%4'],
    ['%zz%41', '%zzA'],
    ['%%41', '%A'],
    ['%e2%98%83', '☃'],
    ['%ff', '\ufffd'],
    ['\xe2\x98\x83', '☃'],
  ])('decodes %j to %j', (value, text) => {
    expect(decodeGrpcMessage(value)).toBe(text);
  });

  it('brings any text back, in printable ASCII', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const value = encodeGrpcMessage(text);
        expect(value).toMatch(/^[\x20-\x7d]*$/);
        expect(decodeGrpcMessage(value)).toBe(text);
      }),
    );
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('%', 'a', 'F', '0', '\xff', 'z') }), (value) => {
        expect(typeof decodeGrpcMessage(value)).toBe('string');
      }),
    );
  });
});

describe('content types', () => {
  it.each([
    // gRPC, gRPC-Web, text, a stream of Connect
    [undefined, '----'],
    ['', '----'],
    ['text/plain', '----'],
    ['application/grpc', 'G---'],
    ['application/grpc+proto', 'G---'],
    ['application/grpc;x=y', '----'],
    ['application/grpc-web', '-W--'],
    ['application/grpc-web+proto', '-W--'],
    ['application/grpc-web+json', '----'],
    ['application/grpc-web-text', '-WT-'],
    ['application/grpc-web-text+proto', '-WT-'],
    ['application/json', '----'],
    ['application/connect', '----'],
    ['application/connect+json', '---s'],
  ])('%j is %s', (type, kinds) => {
    const is = (letter: string, yes: boolean) => (yes ? letter : '-');
    expect(
      is('G', isGrpc(type)) +
        is('W', isGrpcWeb(type)) +
        is('T', isGrpcWebText(type)) +
        is('s', isConnectStreaming(type)),
    ).toBe(kinds);
  });
});
