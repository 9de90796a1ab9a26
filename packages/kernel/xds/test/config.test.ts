import {
  ClusterLoadAssignmentSchema as EDS,
  ClusterSchema as CDS,
  create,
  LbEndpointSchema as LEDS,
  ListenerSchema as LDS,
  NodeSchema,
  RouteConfigurationSchema as RDS,
  ScopedRouteConfigurationSchema as SRDS,
  SecretSchema as SDS,
  ServiceRuntimeSchema as RTDS,
  TypedExtensionConfigSchema as ECDS,
  VirtualHostSchema as VHDS,
} from '@dragoman/api';
import { describe, expect, it } from 'vitest';
import { ADS, apiSource, Rig, source } from './support/rig.ts';

const api = (over: object) => ({
  api_config_source: {
    api_type: 'GRPC',
    transport_api_version: 'V3',
    grpc_services: [{ envoy_grpc: { cluster_name: 'xds' } }],
    ...over,
  },
});

const message = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    return (error as Error).message;
  }
  return 'accepted';
};

describe('a config source', () => {
  it.each<[what: string, config: object, text: string]>([
    ['nothing', {}, 'needs one of ads, api_config_source, path_config_source'],
    [
      'self',
      { self: {} },
      'self: self is not supported, as in Envoy; write ads: {} for resources of the aggregated stream, or an api_config_source',
    ],
    [
      'version 2 of resources',
      { ads: {}, resource_api_version: 'V2' },
      'resource_api_version: V2 is gone, from Envoy as well; the management server has to speak V3',
    ],
    [
      'version 2 of the transport',
      api({ transport_api_version: 'V2' }),
      'api_config_source.transport_api_version: V2 is gone, from Envoy as well; the management server has to speak V3',
    ],
    [
      'a negative timeout',
      { ads: {}, initial_fetch_timeout: '-1s' },
      'initial_fetch_timeout: may not be negative; 0 waits without end',
    ],
    [
      'no type',
      api({ api_type: 0 }),
      'api_config_source.api_type: is required: GRPC, DELTA_GRPC, AGGREGATED_GRPC, AGGREGATED_DELTA_GRPC or REST',
    ],
    [
      'no service',
      api({ grpc_services: [] }),
      'api_config_source.grpc_services: needs the service of a management server',
    ],
    ['a bad service', api({ grpc_services: [{}] }), 'api_config_source.grpc_services[0]: needs envoy_grpc'],
    [
      'three services',
      api({ grpc_services: ['a', 'b', 'c'].map((name) => ({ envoy_grpc: { cluster_name: name } })) }),
      'api_config_source.grpc_services: may name 2 services, of which the second stands in for the first; there are 3',
    ],
    [
      'cluster names',
      api({ cluster_names: ['a'] }),
      'api_config_source.cluster_names: cluster_names is for REST; with gRPC write grpc_services',
    ],
    [
      'no tokens',
      api({ rate_limit_settings: { max_tokens: 0 } }),
      'api_config_source.rate_limit_settings.max_tokens: must be at least 1: with 0 no request would ever be sent',
    ],
    [
      'no rate',
      api({ rate_limit_settings: { fill_rate: 0 } }),
      'api_config_source.rate_limit_settings.fill_rate: must be greater than 0',
    ],
    [
      'REST',
      api({ api_type: 'REST' }),
      'api_config_source.api_type: REST is not part of this proxy; use a gRPC stream',
    ],
    ['a path', { path: '/x' }, 'path: files are not part of this proxy as config sources; use a gRPC stream'],
  ])('with %s is refused', (_, config, text) => {
    const rig = new Rig('sotw');
    expect(message(() => rig.subscribe(EDS, ['a'], 'test', source(config)))).toBe(text);
    expect(rig.grpc.streams).toEqual([]);
    expect(rig.context.clock.pendingTimers).toBe(0);
  });

  it('of another message is refused', () => {
    expect(message(() => new Rig('sotw').subscribe(EDS, ['a'], 'test', {}))).toBe(
      'must be a envoy.config.core.v3.ConfigSource',
    );
  });

  it('waits as long as it says', () => {
    const rig = new Rig('sotw');
    const short = rig.subscribe(EDS, ['a'], 'a', source({ ads: {}, initial_fetch_timeout: '0.5s' }));
    const endless = rig.subscribe(EDS, ['b'], 'b', source({ ads: {}, initial_fetch_timeout: '0s' }));
    rig.context.clock.advance(500);
    expect(short.take()).toEqual(['timeout']);
    rig.context.clock.advance(1e9);
    expect(endless.take()).toEqual([]);
    expect(rig.xds.report().types[0].resources).toMatchObject([
      { name: 'a', status: 'TIMEOUT' },
      { name: 'b', status: 'REQUESTED' },
    ]);
  });

  it('warns of what has no effect', () => {
    const rig = new Rig('sotw', { ads: { refresh_delay: '1s' } });
    expect(rig.context.warnings).toEqual([
      'ads_config.refresh_delay: has no effect with gRPC, as in Envoy: it is for REST',
    ]);
  });

  it.each([
    ['sotw', VHDS],
    ['sotw', LEDS],
  ] as const)('of %s streams is refused for types without such a service (%#)', (_, type) => {
    expect(message(() => new Rig('sotw').subscribe(type, undefined, 'test', source(api({}))))).toMatch(
      /^api_config_source\.api_type: there is no discovery service of a state-of-the-world stream for/,
    );
    expect(
      message(() => new Rig('sotw').subscribe(type, ['a'], 'test', source(api({ api_type: 'DELTA_GRPC' })))),
    ).toBe('accepted');
  });

  it.each([CDS, EDS, LDS, RDS, SRDS, SDS, RTDS, ECDS])('knows a service for $typeName', (type) => {
    for (const api_type of ['GRPC', 'DELTA_GRPC']) {
      const rig = new Rig('sotw');
      const own = source(api({ api_type }));
      expect(message(() => rig.subscribe(type, ['a'], 'test', own))).toBe('accepted');
    }
  });

  it('needs a node', () => {
    const rig = new Rig('sotw', { node: create(NodeSchema, { id: 'a' }) });
    expect(message(() => rig.subscribe(EDS, ['a']))).toMatch(/set id and cluster of node in the bootstrap/);
  });

  it('may not ask for too many names, or for odd ones', () => {
    const rig = new Rig('sotw');
    const subscriber = rig.subscribe(EDS, ['a']);
    const many = Array.from({ length: 100_001 }, (_, i) => String(i));
    expect(message(() => subscriber.subscription.setNames(many))).toMatch(/there may be 100000/);
    expect(message(() => subscriber.subscription.setNames(many.slice(2)))).toBe('accepted');
    expect(message(() => rig.subscribe(EDS, ['7', 'one']))).toBe('accepted');
    expect(message(() => rig.subscribe(EDS, ['one more']))).toBe(
      'more than 100000 resources of EDS are asked for by name',
    );
    expect(message(() => rig.subscribe(EDS, ['']))).toMatch(/may not be empty/);
    expect(message(() => rig.subscribe(EDS, ['x'.repeat(10_000)]))).toMatch(/may have 8192/);
  });
});

describe('the aggregated stream', () => {
  it('needs a config', () => {
    const rig = new Rig('sotw', { adsConfig: undefined });
    expect(message(() => rig.subscribe(EDS, ['a']))).toBe(
      'ads: there is no aggregated stream: set dynamic_resources.ads_config in the bootstrap',
    );
    expect(message(() => rig.xds.replaceAds(apiSource('sotw')))).toMatch(
      /^the proxy was started without ads_config/,
    );
  });

  it.each([
    ['REST', 'ads_config.api_type: REST cannot carry an aggregated stream; write GRPC or DELTA_GRPC'],
  ])('is not %s', (apiType, text) => {
    expect(message(() => new Rig('sotw', { ads: { api_type: apiType } }))).toBe(text);
  });

  it('tells at once what is wrong with it', () => {
    expect(message(() => new Rig('sotw', { ads: { grpc_services: [{}] } }))).toBe(
      'ads_config.grpc_services[0]: needs envoy_grpc',
    );
  });

  it('can be replaced', () => {
    const rig = new Rig('delta');
    const subscriber = rig.subscribe(EDS, ['a']);
    rig.send(EDS, { changed: { a: '1' } });
    const [old] = rig.grpc.streams;
    expect(message(() => rig.xds.replaceAds(apiSource('sotw')))).toMatch(
      /^api_type: a running proxy cannot change/,
    );
    rig.xds.replaceAds(apiSource('delta', {}, 'other'));
    expect(old.closed).toBe(true);
    expect(rig.stream.destination).toBe('other');
    // Versions of one server say nothing to another.
    expect(rig.sent()).toEqual(['EDS +a']);
    rig.send(EDS, { changed: { a: '2' }, version: '9' });
    expect(subscriber.take()).toEqual(['+a=1 v1', '+a=2 v9']);
    rig.stream.end(14);
    rig.sent();
    rig.stream.open();
    expect(rig.sent()).toEqual(['EDS +a {a:9}']);
  });

  it('can be replaced before it is used', () => {
    const rig = new Rig('sotw');
    rig.xds.replaceAds(apiSource('sotw', {}, 'other'));
    rig.subscribe(EDS, ['a']);
    expect(rig.grpc.streams.map(({ destination }) => destination)).toEqual(['other']);
  });

  it('ends with its owner', () => {
    const rig = new Rig('sotw');
    const subscriber = rig.subscribe(EDS, ['a']);
    rig.subscribe(CDS, undefined, 'own', source(api({})));
    rig.xds.close();
    subscriber.subscription.setNames(['b']);
    subscriber.subscription.stop();
    expect(rig.grpc.streams.every(({ closed }) => closed)).toBe(true);
    expect(rig.context.clock.pendingTimers).toBe(0);
    expect(subscriber.take()).toEqual([]);
    expect(message(() => rig.subscribe(EDS, ['a']))).toMatch(/going down/);
    rig.xds.close();
  });
});

describe('names with authorities', () => {
  const name = (authority: string, id = 'x') =>
    `xdstp://${authority}/envoy.config.endpoint.v3.ClusterLoadAssignment/${id}`;
  const withSources = () =>
    new Rig('delta', {
      configSources: [
        source({ authorities: [{ name: 'one' }], ...aggregated('one') }),
        source({ authorities: [{ name: 'two' }, { name: '2' }], ...aggregated('two') }),
      ],
      defaultConfigSource: source(aggregated('default')),
    });
  const aggregated = (cluster: string) =>
    api({ api_type: 'AGGREGATED_DELTA_GRPC', grpc_services: [{ envoy_grpc: { cluster_name: cluster } }] });

  it('come from the sources of these', () => {
    const rig = withSources();
    const subscriber = rig.subscribe(EDS, ['plain', name('one'), name('2'), name('two', 'y')]);
    const asked = () =>
      Object.fromEntries(rig.grpc.streams.map((stream) => [stream.destination, rig.sent(stream)]));
    expect(asked()).toEqual({
      xds: ['EDS +plain'],
      one: [`EDS +${name('one')}`],
      two: [`EDS +${name('2')} +${name('two', 'y')}`],
    });
    subscriber.subscription.setNames([name('2'), name('none')]);
    // Authorities that no source has come from the source of the subscription.
    expect(asked()).toEqual({
      xds: [`EDS +${name('none')} -plain`],
      one: [`EDS -${name('one')}`],
      two: [`EDS -${name('two', 'y')}`],
    });
    expect(rig.grpc.streams.map(({ closed }) => closed)).toEqual([false, true, false]);
    const [, , two] = rig.grpc.streams;
    rig.send(EDS, { changed: { [name('2')]: '1', [name('two', 'y')]: '1' } }, two);
    expect(subscriber.take()).toEqual([`+${name('2')}=1 v1`]);
    subscriber.subscription.stop();
    expect(rig.grpc.streams.map(({ closed }) => closed)).toEqual([false, true, true]);
  });

  it('need no other source', () => {
    const rig = withSources();
    rig.subscribe(EDS, [name('one'), name('none')], 'test', null);
    expect(rig.grpc.streams.map(({ destination }) => destination)).toEqual(['one', 'default']);
    expect(message(() => rig.subscribe(EDS, ['plain'], 'test', null))).toBe('a config source is required');
    expect(message(() => new Rig('sotw').subscribe(EDS, [name('none')], 'test', null))).toMatch(
      /^no config source has the authority "none" of/,
    );
  });

  it('may be added later', () => {
    const rig = withSources();
    const subscriber = rig.subscribe(EDS, [], 'test', null);
    subscriber.subscription.setNames([name('one')]);
    expect(rig.sent()).toEqual([`EDS +${name('one')}`]);
    subscriber.subscription.stop();
    subscriber.subscription.setNames([name('two')]);
    expect(rig.grpc.streams).toHaveLength(1);
  });

  it('prefer the source that says so itself', () => {
    const rig = withSources();
    rig.subscribe(EDS, [name('one')], 'test', source({ ads: {}, authorities: [{ name: 'one' }] }));
    expect(rig.grpc.streams.map(({ destination }) => destination)).toEqual(['xds']);
  });

  it.each([
    ['xdstp://one', /must be xdstp:/],
    [
      'xdstp://one/envoy.config.cluster.v3.Cluster/x',
      /names a envoy\.config\.cluster\.v3\.Cluster, and a envoy/,
    ],
    [`${name('one')}#entry=a`, /directives/],
    [`${name('one')}#other=a`, /is no directive/],
    [`${name('one', '%zz')}`, /bad %-escape/],
  ])('are refused when they are %s', (bad, text) => {
    expect(message(() => withSources().subscribe(EDS, [bad]))).toMatch(text);
  });

  it('are refused where two sources have the same', () => {
    const one = source({ authorities: [{ name: 'one' }], ads: {} });
    expect(message(() => new Rig('sotw', { configSources: [one, one] }))).toBe(
      'config_sources[1].authorities: "one" is already an authority of config_sources[0]',
    );
    expect(message(() => new Rig('sotw', { defaultConfigSource: source({ self: {} }) }))).toMatch(
      /^default_config_source\.self: /,
    );
    expect(message(() => new Rig('sotw').subscribe(EDS, ['a'], 'x', ADS))).toBe('accepted');
  });
});
