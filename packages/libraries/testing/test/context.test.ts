import { type Discovery, Trailers } from '@dragoman/core';
import { expect, test } from 'vitest';
import {
  DiscoveryScene,
  MemoryStats,
  requestHeaders,
  responseHeaders,
  TestHttpStream,
  testContext,
} from '../src/index.ts';

test('stats are one store under many prefixes', () => {
  const stats = new MemoryStats();
  const scope = stats.scope('cluster.').scope('a:b');
  scope.counter('rq').inc();
  scope.counter('rq').add(2);
  const gauge = scope.gauge('active');
  gauge.set(5);
  gauge.dec();
  gauge.sub(1);
  scope.counter('unused');
  scope.histogram('time', 'milliseconds').record(7);
  scope.textReadout('state').set('on');
  expect(stats.value('cluster.a_b.rq')).toBe(3);
  expect(stats.used()).toEqual({ 'cluster.a_b.active': 3, 'cluster.a_b.rq': 3 });
  expect(stats.samples('cluster.a_b.time')).toEqual([7]);
  expect(stats.text('cluster.a_b.state')).toBe('on');
  expect(() => stats.value('cluster.rq')).toThrow('no counter or gauge cluster.rq');
});

test('a context keeps what it is told', () => {
  const context = testContext({ listenerName: 'mine' });
  context.warn('a.b', 'is odd');
  context.loggers.logger('http').warn('careful');
  context.logFiles.open('/dev/stdout').write('one');
  context.logFiles.open('/dev/stdout').write('two');
  context.listenerScope.counter('downstream_cx_total').inc();
  let drained = 0;
  const forget = context.drain.onDrain(() => drained++);
  context.drain.start();
  forget();
  context.drain.start();
  expect(context.listenerName).toBe('mine');
  expect(context.warnings).toEqual(['a.b: is odd']);
  expect(context.loggers.lines).toEqual(['http warning: careful']);
  expect(context.files.get('/dev/stdout')).toEqual(['one', 'two']);
  expect(context.stats.value('listener.test.downstream_cx_total')).toBe(1);
  expect([drained, context.drain.drainClose()]).toEqual([1, true]);
  expect(() => context.formatters.text('%X%')).toThrow('give it `formatters`');
});

test('a stream keeps what a filter asks of it', () => {
  const stream = new TestHttpStream({
    request: requestHeaders({ ':path': '/a', 'x-one': '1' }),
    response: responseHeaders({ ':status': '404' }),
    perRoute: ['route', 'host'],
  });
  stream.reply({ status: 403, details: 'no' });
  stream.resumeRequest();
  stream.resumeResponse();
  stream.clearRouteCache();
  stream.reset('local-reset');
  expect(stream.replies).toEqual([{ status: 403, details: 'no' }]);
  expect(stream.calls).toEqual(['resumeRequest', 'resumeResponse', 'clearRouteCache', 'reset:local-reset']);
  expect([
    stream.requestHeaders.path,
    stream.requestHeaders.get('x-one'),
    stream.responseHeaders?.status,
  ]).toEqual(['/a', '1', 404]);
  expect([stream.perRouteConfig(), stream.perRouteConfigs()]).toEqual(['route', ['host', 'route']]);
  expect(stream.addRequestTrailers()).toBeInstanceOf(Trailers);
  expect(stream.addResponseTrailers()).toBe(stream.responseTrailers);
});

test('a discovery scene keeps what a discovery publishes, and answers as it is told', async () => {
  const scene = new DiscoveryScene();
  const group = { locality: { region: '', zone: '', subZone: '' }, weight: 0, priority: 0 };
  const ask = (name: string) => scene.context.dns.resolve(name, 'AUTO');
  scene.dns.set('a.example', '10.0.0.1');
  const discovery: Discovery = {
    start: (listener) => {
      listener.onHosts({
        localities: [{ ...group, endpoints: [{ address: '10.0.0.1:80', hostname: '', weight: 1 }] }],
      });
      listener.onFailure('later');
    },
    stop: () => {},
  };
  expect(scene.addresses).toEqual([]);
  expect(scene.start(discovery)).toBe(discovery);
  expect([scene.addresses, scene.failures]).toEqual([['10.0.0.1:80'], ['later']]);
  expect(await ask('a.example')).toEqual({ ok: true, addresses: [{ ip: '10.0.0.1', ttlSeconds: 60 }] });
  scene.dns.fail('a.example');
  expect(await ask('a.example')).toEqual({ ok: false, reason: 'SERVFAIL' });
  expect(await ask('b.example')).toEqual({ ok: true, addresses: [] });
  expect(() => scene.counts).toThrow('no counter or gauge cluster.web.update_attempt');
});
