import { describe, expect, test } from 'vitest';
import { type ConnectionPair, ConnectionRecorder, connectionPair, FakeClock } from '../src/index.ts';

function recorded(options: Parameters<typeof connectionPair>[0] = {}) {
  const pair = connectionPair(options);
  return {
    ...pair,
    atClient: new ConnectionRecorder(pair.client),
    atServer: new ConnectionRecorder(pair.server),
  };
}

test('bytes arrive in order, and only when the pair runs', () => {
  const { client, server, atClient, atServer, run } = recorded();
  client.writeText('GET ');
  client.writeBody(Buffer.from('/'), false);
  expect(atServer.text).toBe('');
  expect(client.bufferedBytes).toBe(5);
  run();
  expect(atServer.events).toEqual(['data:5']);
  expect(atServer.text).toBe('GET /');
  server.writeText('ok');
  run();
  expect(atClient.text).toBe('ok');
  expect([client.bytesWritten, client.bytesRead, server.bytesRead, server.bytesWritten]).toEqual([
    5, 2, 5, 2,
  ]);
});

test('chunks can be as small as one byte', () => {
  const { client, atServer, run } = recorded({ chunkBytes: 1 });
  client.writeText('abc');
  run();
  expect(atServer.events).toEqual(['data:1', 'data:1', 'data:1']);
});

test('watermarks: a writer over the limit stops until the peer has taken everything', () => {
  const { client, server, atClient, atServer, run } = recorded({ highWatermarkBytes: 10 });
  server.pauseReading();
  expect(client.writeBody(Buffer.alloc(8), false)).toBe(true);
  expect(client.writeBody(Buffer.alloc(8), false)).toBe(false);
  expect(client.aboveHighWatermark).toBe(true);
  run();
  expect(atClient.events).toEqual([]);
  server.resumeReading();
  run();
  expect(atServer.bytes.length).toBe(16);
  expect(atClient.events).toEqual(['writable']);
  expect(client.aboveHighWatermark).toBe(false);
});

test('holdable bytes are referenced until they have left, others are copied', () => {
  const { client, server, atServer, run } = recorded({ highWatermarkBytes: 2 });
  server.pauseReading();
  const copied = Buffer.from('aaaa');
  const referenced = Buffer.from('bbbb');
  client.writeBody(copied, false);
  client.writeBody(referenced, true);
  copied.fill('x');
  referenced.fill('y');
  server.resumeReading();
  run();
  expect(atServer.text).toBe('aaaayyyy');
});

test('a borrowed chunk is overwritten after onData, a held one after release', () => {
  const { client, server, run } = recorded();
  const kept: Buffer[] = [];
  let hold = false;
  server.setHandler({
    onData: (data) => {
      kept.push(data);
      if (hold) expect(server.hold()).toBe(true);
    },
    onEnd: () => {},
    onWritable: () => {},
    onClose: () => {},
  });
  client.writeText('one');
  run();
  expect(kept[0].toString('latin1')).toBe('\xfe\xfe\xfe');
  hold = true;
  client.writeText('two');
  run();
  client.writeText('three');
  run();
  expect(kept).toHaveLength(2);
  expect(kept[1].toString()).toBe('two');
  server.release();
  run();
  expect(kept).toHaveLength(3);
  expect(kept[1].toString('latin1')).toBe('\xfe\xfe\xfe');
});

describe('endings', () => {
  test('half-close: the other direction goes on', () => {
    const { client, server, atClient, atServer, run } = recorded();
    client.writeText('q');
    client.end();
    run();
    expect(atServer.events).toEqual(['data:1', 'end']);
    server.writeText('a');
    server.end();
    run();
    expect(atClient.events).toEqual(['data:1', 'end', 'close:local:']);
    expect(atServer.events.at(-1)).toBe('close:local:');
  });

  test('flush: what is pending arrives first', () => {
    const { client, server, atClient, atServer, run } = recorded();
    server.writeText('bye');
    server.close('flush', 'details');
    expect(server.open).toBe(false);
    server.writeText('ignored');
    run();
    expect(atClient.events).toEqual(['data:3', 'end', 'close:remote:']);
    expect(atServer.events).toEqual(['close:local:']);
    expect(server.info.terminationDetails).toBe('details');
    expect(client.open).toBe(false);
  });

  test('now: what is pending is dropped', () => {
    const { server, atClient, atServer, run } = recorded();
    server.writeText('bye');
    server.close('now');
    run();
    expect(atClient.events).toEqual(['end', 'close:remote:']);
    expect(atServer.events).toEqual(['close:local:']);
  });

  test('reset', () => {
    const { server, atClient, atServer, run } = recorded();
    server.writeText('bye');
    server.close('reset');
    server.close('flush');
    run();
    expect(atClient.events).toEqual(['close:remote:connection reset by peer']);
    expect(atServer.events).toEqual(['close:local:']);
  });
});

test('idle timeouts run on the fake clock and are pushed back by traffic', () => {
  const clock = new FakeClock();
  const { client, server, run } = recorded({ clock });
  let idle = 0;
  server.setIdleTimeout(100, () => idle++);
  clock.advance(60);
  client.writeText('x');
  run();
  clock.advance(60);
  expect(idle).toBe(0);
  clock.advance(40);
  expect(idle).toBe(1);
  client.writeText('x');
  run();
  clock.advance(1000);
  expect(idle).toBe(1);
});

test('addresses of both ends mirror each other', () => {
  const { client, server } = connectionPair();
  expect(server.info.localAddress.text).toBe('192.0.2.2:80');
  expect(client.info.remoteAddress.text).toBe('192.0.2.2:80');
  expect(server.info.remoteAddress.text).toBe(client.info.localAddress.text);
});

test('a pair drives those alongside, also ones that come later', () => {
  const others: ConnectionPair[] = [];
  const front = connectionPair({ alongside: others });
  const back = connectionPair();
  const received = new ConnectionRecorder(back.server);
  front.server.setHandler({
    onData: (data) => {
      others.push(back);
      back.client.writeBody(data, false);
    },
    onEnd: () => {},
    onWritable: () => {},
    onClose: () => {},
  });
  front.client.writeText('on');
  front.run();
  expect(received.take()).toBe('on');
});
