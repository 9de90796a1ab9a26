import { realClientHello } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import {
  type ClientHello,
  encodeClientHelloBody,
  encodeHandshake,
  encodeRecords,
  EXTENSION,
  extensionData,
  extensionNumbers,
  HELLO_FAILURES,
  HelloReader,
  isGrease,
  parseClientHello,
  serverNameExtension,
  uint16s,
  vector16,
} from '../src/index.ts';

function parsed(message: Buffer): ClientHello {
  const hello = parseClientHello(message);
  if (typeof hello === 'string') throw new Error(hello);
  return hello;
}

it('reads what Node’s client sends', async () => {
  const bytes = await realClientHello({
    servername: 'shop.example.com',
    ALPNProtocols: ['h2', 'http/1.1'],
    requestOCSP: true,
  });
  const reader = new HelloReader();
  expect(reader.read(bytes)).toBe('message');
  expect(reader.consumed).toBe(bytes.length);
  const hello = parsed(reader.message);
  expect(hello.serverName).toBe('shop.example.com');
  expect(hello.applicationProtocols).toEqual(['h2', 'http/1.1']);
  expect(hello.sessionId).toHaveLength(32);
  expect(extensionNumbers(hello, EXTENSION.signatureAlgorithms)).toContain(0x0403);
  expect(extensionNumbers(hello, EXTENSION.supportedGroups)).toContain(23);
  expect(extensionData(hello, EXTENSION.statusRequest)).toBeDefined();
  expect(extensionData(hello, EXTENSION.sessionTicket)).toBeDefined();
});

describe('the reader', () => {
  const message = encodeHandshake(
    1,
    encodeClientHelloBody({ extensions: [serverNameExtension('a.example')] }),
  );

  it.each([1, 2, 3, 7, 50, 16_384])('puts records of %i bytes together', (size) => {
    const bytes = Buffer.concat([encodeRecords(message, size), Buffer.from('what follows')]);
    for (const step of [1, 4, bytes.length]) {
      const reader = new HelloReader();
      let progress = reader.read(bytes.subarray(0, 0));
      for (let end = step; progress === 'more'; end += step) progress = reader.read(bytes.subarray(0, end));
      expect(progress).toBe('message');
      expect(parsed(reader.message).serverName).toBe('a.example');
      expect(reader.consumed).toBe(bytes.length - 'what follows'.length);
    }
  });

  it.each<[string, string]>([
    ['GET / HTTP/1.1\r\n', 'HTTP_REQUEST'],
    ['CONNECT a:1 HTTP/1.1\r\n', 'HTTPS_PROXY_REQUEST'],
    ['SSH-2.0-x\r\n', 'WRONG_VERSION_NUMBER'],
    ['\x16\x03\x01\xff\xff', 'ENCRYPTED_LENGTH_TOO_LONG'],
  ])('says why %j is none', (text, failure) => {
    expect(new HelloReader().read(Buffer.from(text, 'latin1'))).toBe(failure);
    expect(HELLO_FAILURES).toHaveProperty(failure);
  });
});

describe('lists of numbers', () => {
  const numbersOf = (data: Buffer | undefined) =>
    extensionNumbers(parsed(encodeClientHelloBody({ extensions: data ? [[10, data]] : [] })), 10);

  it.each<[string, Buffer | undefined, number[] | undefined]>([
    ['none', undefined, undefined],
    ['two', vector16(uint16s([29, 23])), [29, 23]],
    ['with half a number at the end', vector16(Buffer.from([0, 29, 0])), [29]],
    ['cut', Buffer.from([0, 4, 0, 29]), []],
    ['with bytes behind it', Buffer.concat([vector16(uint16s([29])), Buffer.from([0])]), []],
  ])('%s', (_, data, numbers) => {
    expect(numbersOf(data)).toEqual(numbers);
  });
});

it('GREASE is sixteen values', () => {
  const found = Array.from({ length: 0x10000 }, (_, id) => id).filter(isGrease);
  expect(found).toEqual(Array.from({ length: 16 }, (_, i) => 0x0a0a + i * 0x1010));
});
