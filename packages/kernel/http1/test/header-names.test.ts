import type { HeaderNameFormatter } from '@dragoman/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { clientRig, request, response, serverRig } from './fake-connection.ts';

/** Writes names as they came, and others in capitals. */
class AsTheyCame implements HeaderNameFormatter {
  readonly remembered: string[] = [];
  reasonPhrase = '';

  remember(name: string): void {
    this.remembered.push(name);
  }

  format(name: string): string {
    return this.remembered.find((one) => one.toLowerCase() === name) ?? name.toUpperCase();
  }
}

const headerFormatter = () => new AsTheyCame();
const HEAD = 'GET / HTTP/1.1\r\nhOsT: a\r\nX-aB: 1\r\naccept: */*\r\nx-Ab: 2\r\n\r\n';

describe('a formatter of header names', () => {
  it('is told of every name of a request, in order, as it came', () => {
    const rig = serverRig({ headerFormatter });
    rig.feed(HEAD);
    const formatter = rig.exchanges[0]?.headers?.nameFormatter as AsTheyCame;
    expect(formatter.remembered).toEqual(['hOsT', 'X-aB', 'accept', 'x-Ab']);
    expect(rig.exchanges[0]?.headers?.names).toEqual(['x-ab', 'accept', 'x-ab']);
  });

  it('is one for each message, and none where there is no factory', () => {
    const rig = serverRig({ headerFormatter });
    rig.onRequest = ({ encoder }) => encoder.headers(response(200), true);
    rig.feed(HEAD);
    rig.feed(HEAD);
    const [first, second] = rig.exchanges.map((exchange) => exchange.headers?.nameFormatter);
    expect(first).toBeInstanceOf(AsTheyCame);
    expect(second).not.toBe(first);
    const plain = serverRig();
    plain.feed(HEAD);
    expect(plain.exchanges[0]?.headers?.nameFormatter).toBeUndefined();
  });

  it('spells a request, whatever the format of the connection upstream', () => {
    const server = serverRig({ headerFormatter });
    server.feed('POST / HTTP/1.1\r\nhOsT: a\r\nX-aB: 1\r\nCONTENT-length: 2\r\n\r\nhi');
    const headers = server.exchanges[0]?.headers;
    headers?.append('x-added', 'y');
    const client = clientRig({ headerKeyFormat: 'proper_case_words' });
    client.send(headers as never, false);
    expect(client.connection.take()).toBe(
      'POST / HTTP/1.1\r\nhOsT: a\r\nX-aB: 1\r\nX-ADDED: y\r\nCONTENT-length: 2\r\n\r\n',
    );
  });

  it.each([
    ['a chunked body', request('POST', '/', 'a'), false, 'TRANSFER-ENCODING: chunked'],
    ['no body', request('POST', '/', 'a'), true, 'CONTENT-LENGTH: 0'],
    [
      'an upgrade',
      request('GET', '/', 'a', [
        ['connection', 'upgrade'],
        ['upgrade', 'x'],
      ]),
      false,
      'UPGRADE: x',
    ],
    [
      'the end of the connection',
      request('GET', '/', 'a', [['connection', 'close']]),
      true,
      'CONNECTION: close',
    ],
  ])('spells what the encoder writes: %s', (_what, headers, end, line) => {
    headers.nameFormatter = new AsTheyCame();
    const client = clientRig();
    client.send(headers, end);
    expect(client.connection.take()).toContain(`\r\n${line}\r\n`);
  });

  it('spells a response, with its reason phrase', () => {
    const client = clientRig({ headerFormatter });
    const { answer } = client.send(request('GET', '/', 'a'));
    client.feed('HTTP/1.1 200 All is Well\r\nX-Up: 1\r\nContent-Length: 0\r\n\r\n');
    const { headers } = answer;
    expect(headers?.nameFormatter?.reasonPhrase).toBe('All is Well');
    const server = serverRig();
    server.feed(HEAD);
    server.exchanges[0]?.encoder.headers(headers as never, true);
    expect(server.connection.take()).toBe('HTTP/1.1 200 All is Well\r\nX-Up: 1\r\nContent-Length: 0\r\n\r\n');
  });

  it.each([
    ['none', 'HTTP/1.1 204\r\n\r\n', ''],
    ['an empty one', 'HTTP/1.1 204 \r\n\r\n', ''],
    ['obs-text', 'HTTP/1.1 204 caf\xe9\r\n\r\n', 'caf\xe9'],
  ])('reads a reason phrase: %s', (_what, text, phrase) => {
    const client = clientRig({ headerFormatter });
    const { answer } = client.send(request('GET', '/', 'a'));
    client.feed(text);
    expect(answer.headers?.nameFormatter?.reasonPhrase).toBe(phrase);
  });

  it.each(['a\r\nset-cookie: x', 'a\nb', 'a\0', 'a\x7f', 'a\u010a'])(
    'never writes the phrase %j',
    (phrase) => {
      const headers = response(200);
      headers.nameFormatter = new AsTheyCame();
      headers.nameFormatter.reasonPhrase = phrase;
      const server = serverRig();
      server.feed(HEAD);
      server.exchanges[0]?.encoder.headers(headers, true);
      expect(server.connection.take()).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    },
  );

  it('can change the case of a name, and nothing else', () => {
    const names = ['x-a', 'X-A', 'x-b', 'x-a\r\nx', 'transfer-encoding', '', 'x-A: y\r\nx-b'];
    fc.assert(
      fc.property(fc.oneof(fc.constantFrom(...names), fc.string({ unit: 'binary' })), (spelling) => {
        const headers = response(200, [['x-a', '1']]);
        headers.nameFormatter = { remember() {}, format: () => spelling, reasonPhrase: '' };
        const server = serverRig();
        server.feed(HEAD);
        server.exchanges[0]?.encoder.headers(headers, true);
        expect(server.connection.take().toLowerCase()).toBe(
          'http/1.1 200 ok\r\nx-a: 1\r\ncontent-length: 0\r\n\r\n',
        );
      }),
    );
  });
});

describe('values of Upgrade that are ignored', () => {
  const ignoreUpgrade = (value: string) => value === 'TLS/1.0' || value === 'x';
  const upgrade = (value: string, ...more: string[]) =>
    ['GET / HTTP/1.1', 'host: a', 'connection: upgrade', `upgrade: ${value}`, ...more, '', ''].join('\r\n');

  it.each([
    ['TLS/1.0', undefined],
    ['x, TLS/1.0', undefined],
    ['tls/1.0', 'tls/1.0'],
    ['websocket', 'websocket'],
    ['TLS/1.0, websocket', 'websocket'],
  ])('%s', (value, left) => {
    const rig = serverRig({ ignoreUpgrade });
    rig.feed(upgrade(value));
    const exchange = rig.exchanges[0];
    expect([exchange?.headers?.get('upgrade'), exchange?.ended]).toEqual([left, left === undefined]);
  });

  it('are none with a body either', () => {
    const rig = serverRig({ ignoreUpgrade });
    rig.feed(`${upgrade('x', 'content-length: 2')}hi`);
    expect(rig.exchanges[0]?.body).toBe('hi');
  });
});
