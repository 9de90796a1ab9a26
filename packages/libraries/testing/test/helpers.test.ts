import { createServer } from 'node:net';
import { describe, expect, test } from 'vitest';
import { eventually, expectNoLeaks, Gate, parseResponse, trackLeaks, within } from '../src/index.ts';

describe('Gate', () => {
  test('lets pass in the order of arrival, as many as asked', async () => {
    const gate = new Gate();
    const passed: number[] = [];
    const all = [1, 2, 3].map((name) => gate.pass().then(() => passed.push(name)));
    await gate.reached(3);
    expect(gate.reachedCount).toBe(3);
    gate.letPass();
    await all[0];
    expect(passed).toEqual([1]);
    gate.open();
    await Promise.all(all);
    expect(passed).toEqual([1, 2, 3]);
    await gate.pass();
    gate.close();
    let fourth = false;
    const last = gate.pass().then(() => {
      fourth = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(fourth).toBe(false);
    gate.letPass();
    await last;
  });
});

describe('leaks', () => {
  test('a server left open is named, and gone once it is closed', async () => {
    const leaks = trackLeaks();
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    expect(leaks.leaked()).toEqual(['1 TCPServerWrap']);
    await expect(leaks.expectNone(20)).rejects.toThrow('left behind: 1 TCPServerWrap');
    server.close();
    await leaks.expectNone();
  });

  test('expectNoLeaks returns what its body returns, and catches a timer', async () => {
    expect(await expectNoLeaks(() => 5)).toBe(5);
    const leaks = trackLeaks();
    const timer = setTimeout(() => {}, 60_000);
    expect(leaks.leaked()).toEqual(['1 Timeout']);
    clearTimeout(timer);
    await leaks.expectNone();
  });
});

describe('waiting', () => {
  test('eventually repeats until it neither throws nor is false', async () => {
    let calls = 0;
    const result = await eventually(() => {
      calls++;
      if (calls === 1) throw new Error('not yet');
      return calls > 2 ? 'done' : false;
    });
    expect([result, calls]).toEqual(['done', 3]);
    await expect(eventually(() => false, 5)).rejects.toThrow(
      'not within 5 ms: the condition did not come true',
    );
  });

  test('within fails what does not settle, and says what it was', async () => {
    expect(await within(Promise.resolve(1), 'one')).toBe(1);
    await expect(within(new Promise(() => {}), 'nothing', 5)).rejects.toThrow('nothing: not within 5 ms');
  });
});

describe('parseResponse', () => {
  const parse = (wire: string, ended = false, forHead = false) =>
    parseResponse(Buffer.from(wire, 'latin1'), ended, forHead);

  test.each([
    ['HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabcrest', 200, 'abc', 'rest'],
    ['HTTP/1.1 100 Continue\r\n\r\nHTTP', 100, '', 'HTTP'],
    ['HTTP/1.1 304 \r\ncontent-length: 9\r\n\r\nx', 304, '', 'x'],
    [
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2;e=1\r\nab\r\n1\r\nc\r\n0\r\n\r\nrest',
      200,
      'abc',
      'rest',
    ],
  ])('%j', (wire, status, body, rest) => {
    const response = parse(wire);
    expect([response?.status, response?.body.toString()]).toEqual([status, body]);
    expect(wire.slice(response?.length)).toBe(rest);
    for (let end = 0; end < wire.length - rest.length; end++)
      expect(parse(wire.slice(0, end))).toBeUndefined();
  });

  test('without a length the body ends with the connection', () => {
    const wire = 'HTTP/1.0 200\r\n\r\nabc';
    expect(parse(wire)).toBeUndefined();
    expect(parse(wire, true)?.body.toString()).toBe('abc');
    expect(parse(wire, false, true)?.body.toString()).toBe('');
  });

  test('what is not HTTP is refused', () => {
    expect(() => parse('SSH-2.0-OpenSSH\r\n')).toThrow('not an HTTP/1.x response');
    expect(() => parse('HTTP/1.1 abc\r\n\r\n')).toThrow('not an HTTP/1.x response');
  });
});
