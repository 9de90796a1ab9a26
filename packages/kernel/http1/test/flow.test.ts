import { describe, expect, it } from 'vitest';
import { clientRig, request, response, serverRig } from './fake-connection.ts';

const KIB = 1024;
const GET = 'GET /next HTTP/1.1\r\nHost: a\r\n\r\n';
const post = (length: number, fields = ''): string =>
  `POST / HTTP/1.1\r\nHost: a\r\n${fields}Content-Length: ${length}\r\n\r\n`;
const CHUNKED = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n';
const settled = (): Promise<void> => Promise.resolve();

describe('flow control of a body', () => {
  it('stops reading when the receiver says so, keeps the rest of the read, and goes on in order', () => {
    const rig = serverRig();
    rig.accept = false;
    rig.feed(`${CHUNKED}1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n`);
    const [exchange] = rig.exchanges;
    expect(exchange?.body).toBe('a');
    expect(rig.connection.readingPaused).toBe(true);
    exchange?.encoder.resumeBody();
    expect(exchange?.body).toBe('ab');
    expect(rig.connection.readingPaused).toBe(true);
    rig.accept = true;
    exchange?.encoder.resumeBody();
    expect(exchange?.body).toBe('abc');
    expect(exchange?.ended).toBe(true);
    expect(rig.connection.readingPaused).toBe(false);
  });

  it('holds a large chunk while the receiver has it', () => {
    const rig = serverRig();
    rig.connection.holdable = true;
    rig.feed(post(64 * KIB));
    rig.feed(Buffer.alloc(16 * KIB, 'x'));
    expect(rig.exchanges[0]?.chunks[0]).toMatchObject({ holdable: true, end: false });
    expect(rig.connection.held).toBe(false);
    rig.accept = false;
    rig.feed(Buffer.alloc(16 * KIB, 'y'));
    expect(rig.connection.held).toBe(true);
    expect(rig.connection.pauses).toBe(0);
    rig.exchanges[0]?.encoder.resumeBody();
    expect(rig.connection.held).toBe(false);
    rig.feed(Buffer.alloc(100, 'z'));
    expect(rig.exchanges[0]?.chunks[2]?.holdable).toBe(false);
    expect(rig.connection.held).toBe(false);
    expect(rig.connection.readingPaused).toBe(true);
    rig.exchanges[0]?.encoder.resumeBody();
    expect(rig.connection.readingPaused).toBe(false);
  });

  it('leaves a held chunk alone when the stream is reset in the middle of it', () => {
    const rig = serverRig();
    rig.connection.holdable = true;
    rig.feed(post(64 * KIB));
    rig.onBody = ({ encoder }) => encoder.reset('local-reset');
    rig.accept = false;
    rig.feed(Buffer.alloc(16 * KIB, 'x'));
    expect(rig.connection.held).toBe(true);
    expect(rig.connection.pauses).toBe(0);
    expect(rig.connection.closed).toBe('flush');
  });

  it('gives up the buffer of a last chunk that is kept, and goes on', () => {
    const rig = serverRig();
    rig.connection.holdable = true;
    rig.accept = false;
    rig.feed(post(16 * KIB));
    rig.feed(Buffer.alloc(16 * KIB, 'x'));
    expect(rig.exchanges[0]?.ended).toBe(true);
    rig.exchanges[0]?.encoder.headers(response(200), true);
    expect([rig.completed, rig.done]).toEqual([1, 0]);
    expect([rig.connection.held, rig.connection.givenUp]).toEqual([false, 1]);
  });

  it('stops and resumes when it is told to', () => {
    const rig = serverRig();
    rig.feed(post(6));
    rig.exchanges[0]?.encoder.pauseBody();
    expect(rig.connection.readingPaused).toBe(true);
    rig.feed('abc');
    expect(rig.exchanges[0]?.body).toBe('');
    rig.feed('def');
    rig.exchanges[0]?.encoder.resumeBody();
    expect(rig.exchanges[0]?.body).toBe('abcdef');
    expect(rig.connection.readingPaused).toBe(false);
  });

  it('asks for bulk reads for large bodies only', () => {
    const small = serverRig();
    small.feed(post(64 * KIB));
    expect(small.connection.bulkCalls).toEqual([]);
    const large = serverRig();
    large.feed(post(64 * KIB + 1));
    large.feed(Buffer.alloc(64 * KIB + 1));
    expect(large.connection.bulkCalls).toEqual([true, false]);
    const chunks = serverRig();
    chunks.feed(CHUNKED);
    for (let i = 0; i < 5; i++) {
      chunks.feed('4000\r\n');
      chunks.feed(Buffer.alloc(16 * KIB));
      chunks.feed('\r\n');
    }
    expect(chunks.connection.bulkCalls).toEqual([true]);
    chunks.feed('0\r\n\r\n');
    expect(chunks.connection.bulkCalls).toEqual([true, false]);
  });

  it('passes data through without a copy', () => {
    const rig = serverRig();
    const seen: Buffer[] = [];
    rig.onBody = (_, chunk) => seen.push(chunk);
    rig.feed(CHUNKED);
    const read = Buffer.from('3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n');
    rig.feed(read);
    expect(seen.map((chunk) => [chunk.buffer === read.buffer, chunk.length])).toEqual([
      [true, 3],
      [true, 3],
    ]);
    expect(rig.exchanges[0]?.chunks.map(({ end }) => end)).toEqual([false, true]);
  });

  it('tells the writer of a response when there is room again', () => {
    const rig = serverRig();
    rig.feed(GET);
    rig.exchanges[0]?.encoder.headers(response(200), false);
    rig.connection.writable = false;
    expect(rig.exchanges[0]?.encoder.body(Buffer.from('x'), false, true)).toBe(false);
    rig.codec.onWritable();
    expect(rig.exchanges[0]?.writable).toBe(1);
  });
});

describe('a response before the end of its request', () => {
  it('reads the rest within the bound and goes on', async () => {
    const rig = serverRig();
    rig.feed(post(10) + 'abc');
    rig.exchanges[0]?.encoder.headers(response(413), true);
    expect(rig.codec.draining).toBe(true);
    expect(rig.codec.activeStreams).toBe(0);
    expect(rig.completed).toBe(0);
    rig.feed(`defghij${GET}`);
    await settled();
    expect(rig.completed).toBe(1);
    expect(rig.exchanges.map(({ headers }) => headers?.path)).toEqual(['/', '/next']);
    expect(rig.exchanges[0]?.body).toBe('abc');
  });

  it.each([
    ['at once when the length is above it', post(200 * KIB), 0],
    ['when a chunked body goes above it', CHUNKED, 5],
  ])('closes %s', (_, head, reads) => {
    const rig = serverRig();
    rig.feed(head);
    rig.exchanges[0]?.encoder.headers(response(413), true);
    if (reads === 0) expect(rig.connection.out).toContain('connection: close');
    for (let i = 0; i < reads; i++) rig.feed(`4000\r\n${'x'.repeat(16 * KIB)}\r\n`);
    expect([rig.completed, rig.done]).toEqual([0, 1]);
    rig.feed(`0\r\n\r\n${GET}`);
    expect(rig.exchanges).toHaveLength(1);
  });

  it('closes when what is left is no HTTP', () => {
    const rig = serverRig();
    rig.feed(CHUNKED);
    rig.exchanges[0]?.encoder.headers(response(413), true);
    rig.feed(`x${GET}`);
    expect([rig.exchanges.length, rig.errors.length, rig.done]).toEqual([1, 0, 1]);
  });

  it('reads the rest that was kept because the receiver had stopped', async () => {
    const rig = serverRig();
    rig.accept = false;
    rig.feed(`${CHUNKED}1\r\na\r\n1\r\nb\r\n0\r\n\r\n${GET}`);
    rig.exchanges[0]?.encoder.headers(response(200), true);
    rig.accept = true;
    await settled();
    expect(rig.exchanges).toHaveLength(2);
    expect(rig.connection.readingPaused).toBe(false);
  });

  it('closes when the peer was left waiting for 100, for it may or may not send its body', () => {
    const rig = serverRig();
    rig.feed(post(5, 'Expect: 100-continue\r\n'));
    rig.exchanges[0]?.encoder.headers(response(417), true);
    expect(rig.connection.out).toContain('connection: close');
    expect(rig.done).toBe(1);
    rig.feed(GET);
    expect(rig.exchanges).toHaveLength(1);
  });

  it('does not close when 100 was sent', () => {
    const rig = serverRig();
    rig.feed(post(5, 'Expect: 100-continue\r\n'));
    expect(rig.exchanges[0]?.headers?.get('expect')).toBe('100-continue');
    rig.exchanges[0]?.encoder.informational(response(100));
    rig.feed('hello');
    rig.exchanges[0]?.encoder.headers(response(200), true);
    expect(rig.connection.out).toBe(
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n',
    );
    expect(rig.completed).toBe(1);
  });
});

describe('errors in the middle', () => {
  it('cuts a response that has begun', () => {
    const rig = serverRig();
    rig.feed(CHUNKED);
    rig.exchanges[0]?.encoder.headers(response(200), false);
    rig.feed(`zz\r\n${GET}`);
    expect(rig.exchanges[0]?.reset).toBe('protocol-error: http1.codec_error');
    expect(rig.connection.closed).toBe('flush');
    expect([rig.exchanges.length, rig.errors.length]).toEqual([1, 0]);
  });

  it('gives the stream to the owner when it has no response yet', () => {
    const rig = serverRig();
    rig.feed(`${CHUNKED}zz\r\n`);
    expect(rig.errors).toHaveLength(1);
    expect(rig.connection.out).toMatch(/^HTTP\/1.1 400 Bad Request\r\n/);
    expect(rig.exchanges[0]?.reset).toBeUndefined();
    expect(rig.done).toBe(1);
  });

  it.each([
    ['in a body', post(5) + 'abc', 1],
    ['in a head', 'GET / HTT', 0],
    ['between requests', '', 0],
  ])('the peer ends %s', (_, bytes, streams) => {
    const rig = serverRig();
    rig.feed(bytes);
    expect(rig.codec.headPending).toBe(bytes.startsWith('GET'));
    rig.codec.onPeerEnd();
    expect(rig.exchanges).toHaveLength(streams);
    if (streams > 0)
      expect(rig.exchanges[0]?.reset).toBe('connection-termination: downstream_remote_disconnect');
    expect(rig.done).toBe(1);
  });

  it('answers a peer that has ended its side, then closes', () => {
    const rig = serverRig();
    rig.feed(GET);
    rig.codec.onPeerEnd();
    expect(rig.done).toBe(0);
    rig.exchanges[0]?.encoder.headers(response(200), true);
    expect(rig.connection.out).toContain('connection: close');
    expect(rig.done).toBe(1);
  });

  it('answers all pipelined requests of a peer that has ended its side', async () => {
    const rig = serverRig();
    rig.feed(GET + GET);
    rig.codec.onPeerEnd();
    rig.exchanges[0]?.encoder.headers(response(200), true);
    await settled();
    rig.exchanges[1]?.encoder.headers(response(200), true);
    expect([rig.completed, rig.done]).toEqual([1, 1]);
    expect(rig.connection.out.match(/connection: close/g)).toHaveLength(1);
  });

  it('answers them all, also when one is answered at once', async () => {
    const rig = serverRig();
    rig.feed(GET + GET + GET);
    rig.codec.onPeerEnd();
    rig.onRequest = (exchange) => exchange.encoder.headers(response(200), true);
    rig.exchanges[0]?.encoder.headers(response(200), true);
    await settled();
    expect([rig.exchanges.length, rig.done]).toEqual([3, 1]);
  });

  it('resets the stream when the connection is gone, and ignores what comes late', () => {
    const rig = serverRig();
    rig.feed(post(5));
    rig.codec.onConnectionClosed('ECONNRESET');
    expect(rig.exchanges[0]?.reset).toBe('connection-termination: ECONNRESET');
    rig.exchanges[0]?.encoder.headers(response(200), true);
    rig.feed('hello');
    expect([rig.connection.out, rig.exchanges[0]?.body]).toEqual(['', '']);
  });

  it('ignores calls on a stream whose exchange is complete', () => {
    const rig = serverRig();
    rig.feed(GET);
    const stale = rig.exchanges[0]?.encoder;
    stale?.headers(response(200), true);
    rig.feed(GET);
    rig.connection.take();
    stale?.headers(response(500), true);
    stale?.body(Buffer.from('evil'), true, false);
    stale?.reset('local-reset');
    stale?.closeAfterResponse();
    stale?.pauseBody();
    expect(rig.connection.take()).toBe('');
    expect(rig.connection.closed).toBeUndefined();
    rig.exchanges[1]?.encoder.headers(response(200), true);
    expect(rig.completed).toBe(2);
  });
});

describe('upgrades and CONNECT', () => {
  const UPGRADE = 'GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
  const CONNECT = 'CONNECT b.example:443 HTTP/1.1\r\nHost: b.example:443\r\n\r\n';

  it.each([
    [
      '101',
      UPGRADE,
      101,
      'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n',
    ],
    ['CONNECT 200', CONNECT, 200, 'HTTP/1.1 200 OK\r\n\r\n'],
  ])('passes raw bytes both ways after %s, and none before', async (_, head, status, out) => {
    const rig = serverRig();
    rig.feed(`${head}early`);
    rig.feed(' bytes');
    const [exchange] = rig.exchanges;
    expect(exchange?.ended).toBe(false);
    expect(exchange?.body).toBe('');
    expect(rig.connection.readingPaused).toBe(true);
    exchange?.encoder.headers(
      response(
        status,
        status === 101
          ? [
              ['connection', 'upgrade'],
              ['upgrade', 'websocket'],
            ]
          : [],
      ),
      false,
    );
    expect(rig.connection.take()).toBe(out);
    await settled();
    expect(exchange?.body).toBe('early bytes');
    expect(rig.connection.readingPaused).toBe(false);
    rig.feed(GET);
    expect(exchange?.body).toBe(`early bytes${GET}`);
    exchange?.encoder.body(Buffer.from('raw'), false, false);
    expect(rig.connection.take()).toBe('raw');
    rig.codec.onPeerEnd();
    expect(exchange?.reset).toBe('connection-termination: downstream_remote_disconnect');
    expect(rig.done).toBe(1);
    expect(rig.exchanges).toHaveLength(1);
  });

  it.each([
    ['an upgrade', UPGRADE],
    ['CONNECT', CONNECT],
  ])('closes after %s was refused, whatever follows', async (_, head) => {
    const rig = serverRig();
    rig.feed(`${head}${GET}`);
    rig.exchanges[0]?.encoder.headers(response(403), true);
    expect(rig.connection.take()).toContain('connection: close\r\n');
    await settled();
    expect([rig.exchanges.length, rig.done]).toEqual([1, 1]);
  });

  it('takes 200 to an upgrade for a response, not for a switch', () => {
    const rig = serverRig();
    rig.feed(`${UPGRADE}evil`);
    rig.exchanges[0]?.encoder.headers(response(200), false);
    rig.exchanges[0]?.encoder.body(Buffer.from('x'), true, false);
    expect(rig.connection.take()).toContain(
      'transfer-encoding: chunked\r\nconnection: close\r\n\r\n1\r\nx\r\n0\r\n\r\n',
    );
    expect(rig.exchanges[0]?.body).toBe('');
  });

  it('refuses to write 101 to a request that did not ask', () => {
    const rig = serverRig();
    rig.feed(GET);
    rig.exchanges[0]?.encoder.headers(response(101), false);
    expect(rig.connection.take()).toMatch(/^HTTP\/1.1 500 /);
  });

  it.each([
    ['h2c', 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n'],
    ['Upgrade without Connection', 'Upgrade: websocket\r\n'],
  ])('ignores %s', (_, fields) => {
    const rig = serverRig();
    rig.feed(`GET / HTTP/1.1\r\nHost: a\r\n${fields}\r\n`);
    expect(rig.exchanges[0]?.ended).toBe(true);
    expect(rig.exchanges[0]?.headers?.has('upgrade')).toBe(false);
    expect(rig.exchanges[0]?.headers?.has('http2-settings')).toBe(false);
  });

  it('lets the client side switch only when it asked, and sends nothing before', () => {
    const lines = [
      ['connection', 'upgrade'],
      ['upgrade', 'websocket'],
    ] as const;
    const rig = clientRig();
    const { answer, encoder } = rig.send(request('GET', '/', 'a', lines), false);
    expect(rig.connection.take()).toBe(
      'GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n',
    );
    rig.feed('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nraw');
    expect([answer.headers?.status, answer.body]).toEqual([101, 'raw']);
    encoder.body(Buffer.from('up'), false, false);
    expect(rig.connection.take()).toBe('up');
    encoder.body(Buffer.alloc(0), true, false);
    expect(rig.connection.ended).toBe(true);
    rig.codec.onPeerEnd();
    expect(answer.reset).toBe('connection-termination: ');
    expect(rig.connection.closed).toBe('now');
    const early = clientRig();
    const sent = early.send(request('GET', '/', 'a', lines), false);
    early.connection.take();
    sent.encoder.body(Buffer.from('evil'), false, false);
    expect(early.connection.take()).toBe('');
    expect(sent.answer.reset).toBe('local-reset: http1.body_disallowed');
  });

  const LINES = [
    ['connection', 'upgrade'],
    ['upgrade', 'websocket'],
  ] as const;
  const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n';

  it('ends the switched stream of a client that had ended its side before', async () => {
    const rig = serverRig();
    rig.feed(`${UPGRADE}last`);
    rig.codec.onPeerEnd();
    const [exchange] = rig.exchanges;
    expect(exchange?.reset).toBeUndefined();
    exchange?.encoder.headers(response(101, LINES), false);
    await settled();
    expect([exchange?.body, exchange?.reset]).toEqual([
      'last',
      'connection-termination: downstream_remote_disconnect',
    ]);
  });

  it.each([
    ['delivers what it took over', true, false, 'flush'],
    ['delivers what it copied', false, false, 'flush'],
    ['drops what it was lent', false, true, 'now'],
  ] as const)('%s when a switched stream is given up', (_, writable, holdable, mode) => {
    const rig = clientRig();
    const { encoder } = rig.send(request('GET', '/', 'a', LINES), false);
    rig.feed(SWITCH);
    rig.connection.writable = writable;
    encoder.body(Buffer.from('last words'), false, holdable);
    encoder.reset('local-reset');
    expect(rig.connection.closed).toBe(mode);
  });

  it.each([
    ['200 with a length', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok', 'ok'],
    ['200 in chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n', 'ok'],
    [
      '200 with upgrade headers',
      `HTTP/1.1 200 OK\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n`,
      '',
    ],
    [
      '426',
      'HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nConnection: upgrade\r\nContent-Length: 0\r\n\r\n',
      '',
    ],
  ])('never uses the connection again after %s, whatever follows', (_, answerText, body) => {
    const rig = clientRig();
    const { answer, encoder } = rig.send(request('GET', '/', 'a', LINES), false);
    rig.feed(`${answerText}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil`);
    expect([answer.body, answer.ended]).toEqual([body, true]);
    expect(rig.completed).toEqual([false]);
    rig.connection.take();
    encoder.body(Buffer.from('evil'), false, false);
    expect(rig.connection.take()).toBe('');
  });

  it.each([
    ['without upgrade headers', 'HTTP/1.1 101 Switching Protocols\r\n\r\n'],
    ['that names no protocol', 'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\r\n'],
  ])('refuses 101 %s', (_, answerText) => {
    const rig = clientRig();
    const { answer } = rig.send(request('GET', '/', 'a', LINES), false);
    rig.feed(`${answerText}evil`);
    expect(answer.reset).toBe('protocol-error: http1.codec_error');
    expect(answer.body).toBe('');
  });
});

describe('a request that another receiver takes over', () => {
  const takeOver = () => {
    const rig = serverRig();
    rig.feed(post(4) + 'body');
    const heard: string[] = [];
    const [exchange] = rig.exchanges;
    exchange?.encoder.setDecoder({
      onHeaders: () => heard.push('headers'),
      onBody: () => heard.push('body') > 0,
      onTrailers: () => heard.push('trailers'),
      onReset: (reason) => heard.push(reason),
      onWritable: () => heard.push('writable'),
    });
    return { rig, heard, exchange };
  };

  it('tells it, and not the first, of room and of the end of the connection', () => {
    const { rig, heard, exchange } = takeOver();
    rig.codec.onWritable();
    rig.codec.onConnectionClosed('');
    expect(heard).toEqual(['writable', 'connection-termination']);
    expect([exchange?.writable, exchange?.reset]).toEqual([0, undefined]);
  });

  it('is over with its response: the next request has a receiver of its own', async () => {
    const { rig, heard, exchange } = takeOver();
    exchange?.encoder.headers(response(200), true);
    exchange?.encoder.setDecoder({} as never);
    rig.feed(GET);
    await settled();
    expect(rig.exchanges).toHaveLength(2);
    expect(rig.exchanges[1]?.ended).toBe(true);
    expect(heard).toEqual([]);
  });
});

describe('what a stream holds', () => {
  it('is what was read and not taken, and what is not sent', () => {
    const rig = serverRig();
    rig.accept = false;
    rig.feed(`${post(8)}abcd`);
    const encoder = rig.exchanges[0]?.encoder;
    expect(encoder?.heldBytes).toBe(0);
    rig.feed('efgh');
    expect(encoder?.heldBytes).toBe(4);
    rig.connection.bufferedBytes = 1000;
    expect(encoder?.heldBytes).toBe(1004);
    encoder?.reset('local-reset');
    expect(encoder?.heldBytes).toBe(0);
  });

  it('is the same of a request', () => {
    const rig = clientRig();
    const { encoder } = rig.send(request('POST', '/', 'a', [['content-length', '3']]), false);
    rig.connection.bufferedBytes = 70;
    expect(encoder.heldBytes).toBe(70);
    encoder.reset('local-reset');
    expect(encoder.heldBytes).toBe(0);
  });

  it.each([
    ['overload', 'now'],
    ['local-reset', 'flush'],
  ] as const)('a reset for %s closes the connection: %s', (reason, mode) => {
    const rig = serverRig();
    rig.feed(GET);
    const encoder = rig.exchanges[0]?.encoder;
    encoder?.headers(response(200, [['content-length', '10']]), false);
    encoder?.reset(reason);
    expect(rig.connection.closed).toBe(mode);
  });

  it('a body that ends with the connection is reset whatever for: it must not seem complete', () => {
    const rig = serverRig({ acceptHttp10: true });
    rig.feed('GET / HTTP/1.0\r\nHost: a\r\n\r\n');
    const encoder = rig.exchanges[0]?.encoder;
    encoder?.headers(response(200), false);
    encoder?.reset('overload');
    expect(rig.connection.closed).toBe('reset');
  });
});
