import { describe, expect, it } from 'vitest';
import {
  connectToUpgradeRequest,
  connectToUpgradeResponse,
  isExtendedConnect,
  isUpgrade,
  RequestHeaders,
  ResponseHeaders,
  upgradeToConnectRequest,
  upgradeToConnectResponse,
} from '../src/index.ts';

function request(fields: Readonly<Record<string, string>>): RequestHeaders {
  const headers = new RequestHeaders();
  for (const [name, value] of Object.entries(fields)) headers.append(name, value);
  return headers;
}

function response(fields: Readonly<Record<string, string>>): ResponseHeaders {
  const headers = new ResponseHeaders();
  for (const [name, value] of Object.entries(fields)) headers.append(name, value);
  return headers;
}

const HANDSHAKE = { ':method': 'GET', ':path': '/chat', ':authority': 'a', ':scheme': 'http' };
const UPGRADE = { connection: 'upgrade', upgrade: 'websocket' };
const CONNECT = { ...HANDSHAKE, ':method': 'CONNECT', ':protocol': 'websocket' };

describe('what an upgrade is', () => {
  it.each([
    ['upgrade', true],
    ['keep-alive, Upgrade', true],
    ['keep-alive', false],
    ['upgraded', false],
    ['', false],
  ])('connection: %j', (connection, expected) => {
    expect(isUpgrade(request({ ...HANDSHAKE, connection, upgrade: 'websocket' }))).toBe(expected);
  });

  it('needs both headers', () => {
    expect(isUpgrade(request({ ...HANDSHAKE, upgrade: 'websocket' }))).toBe(false);
    expect(isUpgrade(request({ ...HANDSHAKE, connection: 'upgrade' }))).toBe(false);
  });

  it('reads every line of connection', () => {
    const headers = request({ ...HANDSHAKE, connection: 'keep-alive', upgrade: 'websocket' });
    headers.append('connection', 'upgrade');
    expect(isUpgrade(headers)).toBe(true);
  });

  it.each([
    [CONNECT, true],
    [{ ...CONNECT, ':protocol': 'bytestream' }, false],
    [{ ...HANDSHAKE, ':method': 'CONNECT' }, false],
    [{ ...HANDSHAKE, ':protocol': 'websocket' }, false],
  ])('%j as an extended CONNECT: %s', (fields, expected) => {
    expect(isExtendedConnect(request(fields))).toBe(expected);
  });
});

describe('requests', () => {
  it('become extended CONNECTs and upgrades again', () => {
    const headers = request({ ...HANDSHAKE, ...UPGRADE, 'content-length': '0', 'x-a': '1' });
    upgradeToConnectRequest(headers);
    expect(Object.fromEntries(headers.entries())).toEqual({ ...CONNECT, 'x-a': '1' });
    connectToUpgradeRequest(headers);
    expect(Object.fromEntries(headers.entries())).toEqual({ ...HANDSHAKE, ...UPGRADE, 'x-a': '1' });
  });

  it('keep a length that says something', () => {
    const headers = request({ ...HANDSHAKE, ...UPGRADE, 'content-length': '5' });
    upgradeToConnectRequest(headers);
    expect(headers.get('content-length')).toBe('5');
  });
});

describe('responses', () => {
  it('are 200 on HTTP/2 and 101 on HTTP/1.1', () => {
    const headers = response({ ':status': '101', ...UPGRADE });
    upgradeToConnectResponse(headers);
    expect(headers.entries()).toEqual([[':status', '200']]);
    connectToUpgradeResponse(headers, 'websocket');
    expect(Object.fromEntries(headers.entries())).toEqual({ ':status': '101', ...UPGRADE });
  });

  it.each([201, 204, 302, 404, 503])('%d stays what it is', (status) => {
    const headers = response({ ':status': String(status) });
    connectToUpgradeResponse(headers, 'websocket');
    expect(headers.entries()).toEqual([[':status', String(status)]]);
  });
});
