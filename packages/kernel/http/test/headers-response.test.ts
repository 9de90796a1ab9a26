import { RequestHeaders, type RequestIds, ResponseHeaders } from '@dragoman/core';
import { FakeClock } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import {
  compileResponseMutation,
  DateHeader,
  type ResponseMutation,
  type ResponseMutationOptions,
} from '../src/headers/index.ts';
import { streamInfo } from './routes-support.ts';

const requestIds = {
  setInResponse(response: ResponseHeaders, request: RequestHeaders) {
    response.set('x-request-id', request.get('x-request-id') ?? '');
  },
} as unknown as RequestIds;

function run(
  options: Partial<ResponseMutationOptions>,
  fields: Record<string, string>,
  requestFields: Record<string, string> = {},
  kind: keyof ResponseMutation = 'final',
): ResponseHeaders {
  const headers = new ResponseHeaders();
  headers.status = 200;
  for (const [name, value] of Object.entries(fields)) headers.append(name, value);
  const request = new RequestHeaders();
  request.append('x-request-id', 'the-id');
  for (const [name, value] of Object.entries(requestFields)) request.append(name, value);
  const mutation = compileResponseMutation({
    serverName: 'envoy',
    serverHeader: 'overwrite',
    via: '',
    alwaysSetRequestId: false,
    requestIds,
    proxyStatus: undefined,
    clock: new FakeClock(),
    ...options,
  });
  mutation[kind](headers, request, streamInfo());
  return headers;
}

describe('every response', () => {
  it.each([
    ['overwrite', undefined, 'envoy'],
    ['overwrite', 'nginx', 'envoy'],
    ['append-if-absent', undefined, 'envoy'],
    ['append-if-absent', 'nginx', 'nginx'],
    ['pass-through', undefined, undefined],
    ['pass-through', 'nginx', 'nginx'],
  ] as const)('server header: %s of %s gives %s', (serverHeader, sent, expected) => {
    expect(run({ serverHeader }, sent === undefined ? {} : { server: sent }).get('server')).toBe(expected);
  });

  it("has a date, the upstream's when there is one", () => {
    expect(run({}, { date: 'Thu, 01 Jan 1970 00:00:00 GMT' }).get('date')).toBe(
      'Thu, 01 Jan 1970 00:00:00 GMT',
    );
    expect(run({}, {}).get('date')).toMatch(
      /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/,
    );
  });

  it('loses its hop-by-hop headers', () => {
    const headers = run(
      {},
      {
        connection: 'keep-alive',
        'keep-alive': 'timeout=5',
        'proxy-connection': 'x',
        'transfer-encoding': 'chunked',
        upgrade: 'h2c',
        'x-kept': '1',
      },
    );
    expect(headers.names).toEqual(['x-kept', 'date', 'server']);
  });

  it('keeps connection and upgrade of an upgrade that was asked for', () => {
    const upgrade = { connection: 'Upgrade', upgrade: 'websocket' };
    expect(run({}, upgrade, upgrade).get('upgrade')).toBe('websocket');
    expect(run({}, upgrade).get('upgrade')).toBe(undefined);
  });

  it('carries the request id when always, or when the request is traced', () => {
    expect(run({}, {}).get('x-request-id')).toBe(undefined);
    expect(run({ alwaysSetRequestId: true }, {}).get('x-request-id')).toBe('the-id');
    expect(run({}, {}, { 'x-envoy-force-trace': 'true' }).get('x-request-id')).toBe('the-id');
  });

  it('carries via', () => {
    expect(run({ via: '1.1 me' }, { via: '1.1 up' }).get('via')).toBe('1.1 up, 1.1 me');
  });
});

describe('an interim response', () => {
  it('gets neither date nor server nor via, and loses its hop-by-hop headers', () => {
    const headers = run(
      { via: 'me', alwaysSetRequestId: true },
      { connection: 'x', link: '</a>' },
      {},
      'interim',
    );
    expect(headers.names).toEqual(['link', 'x-request-id']);
  });
});

describe('the date', () => {
  it('is made anew once a second', () => {
    let wall = 1_000_500;
    const date = new DateHeader({
      now: () => 0,
      wallTime: () => wall,
      timer: () => {
        throw new Error('no timers');
      },
    });
    const first = date.text;
    expect(first).toBe('Thu, 01 Jan 1970 00:16:40 GMT');
    wall = 1_000_999;
    expect(date.text).toBe(first);
    wall = 1_001_000;
    expect(date.text).toBe('Thu, 01 Jan 1970 00:16:41 GMT');
  });
});
