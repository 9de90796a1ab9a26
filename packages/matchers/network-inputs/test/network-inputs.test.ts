import { type JsonObject, readLoose } from '@dragoman/api';
import { Address, type ConnectionInfo, type MatchInputExtension, StreamInfo } from '@dragoman/core';
import { connectionInfo, testContext } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import {
  applicationProtocolInput,
  destinationIpInput,
  destinationPortInput,
  directSourceIpInput,
  filterStateInput,
  serverNameInput,
  sourceIpInput,
  sourcePortInput,
  sourceTypeInput,
  transportProtocolInput,
} from '../src/index.ts';

const inputs = {
  applicationProtocolInput,
  destinationIpInput,
  destinationPortInput,
  directSourceIpInput,
  filterStateInput,
  serverNameInput,
  sourceIpInput,
  sourcePortInput,
  sourceTypeInput,
  transportProtocolInput,
};

function values(
  extension: MatchInputExtension,
  parts: Partial<ConnectionInfo>,
  json: JsonObject = {},
  state: Readonly<Record<string, { toText?(): string }>> = {},
) {
  const config = readLoose(extension.config as never, json) as never;
  const connection = connectionInfo(parts);
  const info = new StreamInfo(connection, 0, 0);
  for (const [key, object] of Object.entries(state)) info.filterState.set(key, object);
  const nothing = { requestTrailers: undefined, responseHeaders: undefined, responseTrailers: undefined };
  return {
    connection: extension
      .createConnection?.(config, testContext())
      .get({ connection, filterState: info.hasFilterState ? info.filterState : undefined }),
    http: extension.createHttp?.(config, testContext()).get({ info, requestHeaders: undefined, ...nothing }),
  };
}

const LOCAL = Address.ip('10.0.0.1', 8080);
const REMOTE = Address.ip('2001:db8::1', 40_001);
const DIRECT = Address.ip('10.0.0.2', 40_000);
const PIPE = Address.pipe('/run/x.sock');
const ENDS = { localAddress: LOCAL, remoteAddress: REMOTE, directRemoteAddress: DIRECT };
const PIPES = { localAddress: PIPE, remoteAddress: PIPE, directRemoteAddress: PIPE };

describe.each<[name: keyof typeof inputs, parts: Partial<ConnectionInfo>, expected: string | undefined]>([
  ['destinationIpInput', ENDS, '10.0.0.1'],
  ['destinationIpInput', PIPES, undefined],
  ['destinationPortInput', ENDS, '8080'],
  ['destinationPortInput', PIPES, undefined],
  ['sourceIpInput', ENDS, '2001:db8::1'],
  ['sourceIpInput', PIPES, undefined],
  ['sourcePortInput', ENDS, '40001'],
  ['sourcePortInput', PIPES, undefined],
  ['directSourceIpInput', ENDS, '10.0.0.2'],
  ['directSourceIpInput', PIPES, undefined],
  ['sourceTypeInput', ENDS, undefined],
  ['sourceTypeInput', PIPES, 'local'],
  ['sourceTypeInput', { ...ENDS, remoteAddress: Address.ip('127.3.2.1', 1) }, 'local'],
  ['sourceTypeInput', { ...ENDS, remoteAddress: Address.ip('::1', 1) }, 'local'],
  ['sourceTypeInput', { ...ENDS, remoteAddress: Address.ip('10.0.0.1', 1) }, 'local'],
  ['serverNameInput', { requestedServerName: 'a.com' }, 'a.com'],
  ['serverNameInput', {}, undefined],
])('%s of %j', (name, parts, expected) => {
  it(`is ${expected} for connections and requests`, () => {
    expect(values(inputs[name], parts)).toEqual({ connection: expected, http: expected });
  });
});

describe.each<[name: keyof typeof inputs, parts: Partial<ConnectionInfo>, expected: string | undefined]>([
  ['transportProtocolInput', { transportProtocol: 'tls' }, 'tls'],
  ['transportProtocolInput', { transportProtocol: '' }, undefined],
  ['applicationProtocolInput', { applicationProtocols: ['h2', 'http/1.1'] }, "'h2','http/1.1'"],
  ['applicationProtocolInput', { applicationProtocols: ['h2c'] }, "'h2c'"],
  ['applicationProtocolInput', {}, undefined],
])('%s of %j', (name, parts, expected) => {
  it(`is ${expected}, for connections only`, () => {
    expect(values(inputs[name], parts).connection).toBe(expected);
    expect(inputs[name].createHttp).toBeUndefined();
  });
});

it("takes a request's client for its source", () => {
  const config = readLoose(inputs.sourceIpInput.config as never, {}) as never;
  const info = new StreamInfo(connectionInfo(ENDS), 0, 0);
  info.remoteAddress = Address.ip('192.0.2.77', 0);
  const input = inputs.sourceIpInput.createHttp?.(config, testContext());
  expect(
    input?.get({
      info,
      requestHeaders: undefined,
      requestTrailers: undefined,
      responseHeaders: undefined,
      responseTrailers: undefined,
    }),
  ).toBe('192.0.2.77');
});

describe('filterStateInput', () => {
  const state = { a: { toText: () => 'é' }, b: {} };
  it.each<[key: string, expected: string | undefined]>([
    ['a', '\xc3\xa9'],
    ['b', undefined],
    ['c', undefined],
  ])('%s → %j', (key, expected) => {
    expect(values(inputs.filterStateInput, {}, { key }, state)).toEqual({
      connection: expected,
      http: expected,
    });
  });

  it('has nothing where nobody has set any, and needs a key', () => {
    expect(values(inputs.filterStateInput, {}, { key: 'a' })).toEqual({
      connection: undefined,
      http: undefined,
    });
    expect(() => values(inputs.filterStateInput, {})).toThrow(/^key: is required/);
  });
});
