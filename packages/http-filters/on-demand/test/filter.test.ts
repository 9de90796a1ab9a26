import { ClusterSchema, OnDemandSchema, OnDemandPerRouteConfigSchema, readLoose } from '@dragoman/api';
import type { Cluster, CreateHttpFilter, RequestHeaders } from '@dragoman/core';
import {
  FakeDynamicResources,
  httpFilterConformance,
  requestHeaders,
  TestHttpStream,
  type TestStreamOptions,
  testContext,
} from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { onDemand } from '../src/index.ts';

const ODCDS = { odcds: { source: { ads: {} } } };
const config = (fields: object) => readLoose(OnDemandSchema, fields) as never;
const routeConfig = (fields: object) => readLoose(OnDemandPerRouteConfigSchema, fields) as never;
const CLUSTER = `${ClusterSchema.typeName} `;

const routeTo = (clusterName: (headers: RequestHeaders) => string) =>
  ({ action: { kind: 'forward', clusterName } }) as never;

httpFilterConformance(
  { describe, it },
  {
    extension: onDemand,
    config: config({}),
    invalid: [
      { name: 'no source', config: config({ odcds: {} }), path: 'odcds.source' },
      {
        name: 'a collection',
        config: config({ odcds: { ...ODCDS.odcds, resources_locator: 'xdstp:///x' } }),
        path: 'odcds.resources_locator',
      },
    ],
  },
);

class Scene {
  readonly resources = new FakeDynamicResources();
  readonly known = new Set<string>(['known']);
  readonly context = testContext({
    dynamicResources: this.resources,
    clusters: {
      get: (name) => (this.known.has(name) ? ({} as Cluster) : undefined),
      clusterNames: [],
    },
  });
  private readonly create: CreateHttpFilter;

  constructor(fields: object = {}) {
    this.create = onDemand.create(config(fields), this.context) as CreateHttpFilter;
  }

  begin(options: TestStreamOptions = {}, change: Partial<TestHttpStream> = {}) {
    const stream = Object.assign(new TestHttpStream(options), change);
    const filter = this.create(stream);
    const verdict = filter.onRequestHeaders?.(stream.requestHeaders, true);
    return { stream, filter, verdict };
  }
}

describe('a request without a route', () => {
  it('goes on where nobody can be asked', () => {
    const { verdict, stream } = new Scene().begin();
    expect(verdict).toBeUndefined();
    expect(stream.calls).toEqual(['demandRoute']);
  });

  it('begins anew when its virtual host has come', () => {
    const { verdict, stream } = new Scene().begin({}, { demandable: true, restartable: true });
    expect(verdict).toBe('pause');
    stream.answerDemand?.(true);
    expect(stream.calls).toEqual(['demandRoute', 'startAnew']);
  });

  it('goes on with its route where it cannot begin anew', () => {
    const { stream } = new Scene().begin({}, { demandable: true });
    stream.answerDemand?.(true);
    expect(stream.calls).toEqual(['demandRoute', 'startAnew', 'resumeRequest']);
  });

  it('waits for the cluster of that route then', () => {
    const scene = new Scene(ODCDS);
    const { stream } = scene.begin({}, { demandable: true });
    stream.route = routeTo(() => 'new');
    stream.answerDemand?.(true);
    expect(stream.calls).toEqual(['demandRoute', 'startAnew']);
    expect(scene.resources.demanded).toEqual([`${CLUSTER}new`]);
    scene.resources.answer(ClusterSchema, 'new', true);
    expect(stream.calls.at(-1)).toBe('resumeRequest');
  });

  it('goes on without when there is none', () => {
    const { stream } = new Scene().begin({}, { demandable: true, restartable: true });
    stream.answerDemand?.(false);
    expect(stream.calls).toEqual(['demandRoute', 'resumeRequest']);
  });

  it('takes its question back when it ends', () => {
    const { stream, filter } = new Scene().begin({}, { demandable: true });
    filter.onComplete?.();
    expect(stream.calls).toEqual(['demandRoute', 'cancelDemand']);
  });
});

describe('a request whose cluster is not there', () => {
  const route = routeTo(() => 'new');

  it.each([true, false])('goes on when that is answered: %s', (found) => {
    const scene = new Scene(ODCDS);
    const { stream, verdict } = scene.begin({ route });
    expect(verdict).toBe('pause');
    expect(scene.resources.demanded).toEqual([`${CLUSTER}new`]);
    scene.resources.answer(ClusterSchema, 'new', found);
    expect(stream.calls).toEqual(['resumeRequest']);
    scene.context.clock.advance(60_000);
    expect(stream.calls).toEqual(['resumeRequest']);
  });

  it.each([
    [{}, 5000],
    [{ timeout: '0.25s' }, 250],
  ])('waits with %j for %d ms', (more, ms) => {
    const scene = new Scene({ odcds: { ...ODCDS.odcds, ...more } });
    const { stream } = scene.begin({ route });
    scene.context.clock.advance(ms - 1);
    expect(stream.calls).toEqual([]);
    scene.context.clock.advance(5);
    expect(stream.calls).toEqual(['resumeRequest']);
    expect(scene.resources.demanded).toEqual([]);
  });

  it('takes its question back when it ends', () => {
    const scene = new Scene(ODCDS);
    const { stream, filter } = scene.begin({ route });
    filter.onComplete?.();
    expect(scene.resources.demanded).toEqual([]);
    scene.context.clock.advance(60_000);
    expect(stream.calls).toEqual([]);
  });

  it('asks by the text of the name', () => {
    const scene = new Scene(ODCDS);
    const byHeader = routeTo((headers) => headers.get('x-cluster') ?? '');
    scene.begin({ route: byHeader, request: requestHeaders({ 'x-cluster': '\xc3\xbc' }) });
    expect(scene.resources.demanded).toEqual([`${CLUSTER}ü`]);
  });

  it('is asked for as the route says', () => {
    const scene = new Scene();
    const perRoute = [onDemand.createPerRoute?.(routeConfig(ODCDS), scene.context)];
    expect(scene.begin({ route, perRoute }).verdict).toBe('pause');
    const off = new Scene(ODCDS);
    const none = [onDemand.createPerRoute?.(routeConfig({}), off.context)];
    expect(off.begin({ route, perRoute: none }).verdict).toBeUndefined();
  });

  it.each<[string, object, unknown]>([
    ['without odcds', {}, route],
    ['a cluster that is there', ODCDS, routeTo(() => 'known')],
    ['no name of a cluster', ODCDS, routeTo(() => '')],
    ['a redirect', ODCDS, { action: { kind: 'redirect' } }],
  ])('is not asked for: %s', (_what, fields, to) => {
    const scene = new Scene(fields);
    const { verdict, stream } = scene.begin({ route: to as never });
    expect(verdict).toBeUndefined();
    expect(stream.calls).toEqual([]);
    expect(scene.resources.demanded).toEqual([]);
  });
});
