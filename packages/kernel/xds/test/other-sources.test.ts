import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  ClusterSchema as CDS,
  ClusterLoadAssignmentSchema as EDS,
  LbEndpointSchema as LEDS,
  type DescMessage,
} from '@dragoman/api';
import { ConfigError, type SubscriptionOptions } from '@dragoman/core';
import { createOtherSources, type OtherSources } from '@dragoman/xds-sources';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ADS, NODE, resource, Rig, settled, source, type Subscriber } from './support/rig.ts';

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'dragoman-xds-'));
});

afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

/** Subscriptions that a test answers. */
class Played implements OtherSources {
  readonly events: string[] = [];
  options!: SubscriptionOptions<DescMessage>;

  path<D extends DescMessage>(options: SubscriptionOptions<D>, { path }: { readonly path: string }) {
    return this.open(`path ${path}`, options);
  }

  rest<D extends DescMessage>(options: SubscriptionOptions<D>, { clusterNames }: { clusterNames: string[] }) {
    return this.open(`rest ${clusterNames}`, options);
  }

  checkPath({ path }: { readonly path: string }): void {
    this.events.push(`check path ${path}`);
  }

  checkRest({ clusterNames }: { clusterNames: string[] }, { typeName }: DescMessage): void {
    this.events.push(`check rest ${clusterNames} ${typeName}`);
  }

  async update(type: DescMessage, version: string, ...names: string[]): Promise<void> {
    const changed = names.map((name) => ({
      name,
      version,
      message: resource(type, name, version),
    }));
    const update = { changed, removed: [], versionInfo: version, full: true };
    await this.options.callbacks.onUpdate(update);
  }

  private open<D extends DescMessage>(text: string, options: SubscriptionOptions<D>) {
    this.events.push(`${text}${options.names === undefined ? '' : ` [${options.names}]`}`);
    this.options = options as unknown as SubscriptionOptions<DescMessage>;
    return {
      setNames: (names: readonly string[]) => this.events.push(`names [${names}]`),
      stop: () => this.events.push('stop'),
    };
  }
}

const REST = source({
  api_config_source: { api_type: 'REST', transport_api_version: 'V3', cluster_names: ['xds'] },
});
const FILE = source({ path_config_source: { path: '/tmp/x' } });

function onFile(
  name: string,
  text: string,
): { readonly rig: Rig; readonly config: unknown; readonly path: string } {
  const path = join(root, name);
  writeFileSync(path, text);
  const rig: Rig = new Rig('sotw', {
    otherSources: {
      path: (options, config) => sources().path(options, config),
      rest: (options, config) => sources().rest(options, config),
      checkPath: (config) => sources().checkPath(config),
      checkRest: (config, type) => sources().checkRest(config, type),
    },
  });
  const sources = () =>
    createOtherSources({
      ...rig.context,
      clusters: { get: () => undefined, clusterNames: [] },
      localInfo: { address: '' },
      node: NODE,
    });
  return { rig, path, config: source({ path_config_source: { path } }) };
}

const yaml = (version: string, ...clusters: string[]) =>
  `version_info: "${version}"\nresources:\n${clusters
    .map((cluster) => `- { "@type": type.googleapis.com/envoy.config.cluster.v3.Cluster, ${cluster} }\n`)
    .join('')}`;

describe('a file', () => {
  it('is read, counted and reported', () => {
    const { rig, config } = onFile('a.yaml', yaml('1', 'name: a, alt_stat_name: x', 'name: b'));
    const subscriber = rig.subscribe(CDS, undefined, 'test', config);
    expect(subscriber.take()).toEqual(['full +a=x +b= v1']);
    expect(rig.stat('test.update_success')).toBe(1);
    expect(rig.xds.report().types).toMatchObject([
      {
        typeUrl: 'type.googleapis.com/envoy.config.cluster.v3.Cluster',
        source: 'file',
        version: '1',
        error: undefined,
        resources: [
          { name: 'a', version: '1', status: 'ACKED', message: { altStatName: 'x' } },
          { name: 'b', version: '1', status: 'ACKED' },
        ],
      },
    ]);
    subscriber.subscription.stop();
    expect(rig.xds.report().types).toEqual([]);
    expect(rig.context.clock.pendingTimers).toBe(0);
  });

  it('by its deprecated field too', () => {
    const { rig, path } = onFile('a.yaml', yaml('1', 'name: a'));
    const subscriber = rig.subscribe(CDS, undefined, 'test', source({ path }));
    expect(subscriber.take()).toEqual(['full +a= v1']);
    const gone = source({ path: join(root, 'gone.yaml') });
    expect(() => rig.subscribe(CDS, undefined, 'gone', gone)).toThrow(/^path: ".*gone\.yaml" must be there/);
    subscriber.subscription.stop();
  });

  it('is refused with the place, and what was good beside it is reported as such', () => {
    const { rig, config } = onFile('a.yaml', yaml('1', 'name: a', 'name: b, connect_timeout: 1s', 'name: c'));
    const failures: string[] = [];
    const subscription = rig.xds.subscriptions.subscribe({
      source: config,
      type: CDS,
      names: undefined,
      stats: rig.context.stats.scope('test'),
      callbacks: {
        onUpdate: () => {
          throw ConfigError.at('b: connect_timeout', 'too short');
        },
        onFailure: (reason, details) => failures.push(`${reason}: ${details}`),
      },
    });
    const details = `${join(root, 'a.yaml')}:4:93: b: connect_timeout: too short`;
    expect(failures).toEqual([`rejected: ${details}`]);
    const [type] = rig.xds.report().types;
    expect(type).toMatchObject({ version: '', error: { version: '1', details } });
    expect(type.resources.map(({ name, status, error }) => [name, status, error?.details])).toEqual(
      [
        ['a', 'ACKED', undefined],
        ['c', 'ACKED', undefined],
        ['b', 'NACKED', details],
      ].sort(),
    );
    subscription.stop();
  });

  it('says what is not in it', () => {
    const { rig, config } = onFile('a.yaml', 'version_info: "1"\nresources: []\n');
    const subscriber = rig.subscribe(EDS, ['x'], 'test', config);
    expect(subscriber.take()).toEqual(['full v1']);
    expect(rig.stat('test.update_empty')).toBe(1);
    expect(rig.xds.report().types[0]?.resources).toMatchObject([{ name: 'x', status: 'DOES_NOT_EXIST' }]);
    rig.xds.close();
  });

  it('that cannot be read is told', () => {
    const { rig, config } = onFile('a.yaml', 'resources: [');
    const subscriber = rig.subscribe(EDS, ['x'], 'test', config);
    expect(subscriber.take()).toEqual([expect.stringMatching(/^rejected: .*a\.yaml:1:/)]);
    expect(rig.xds.report().types).toMatchObject([
      {
        source: 'file',
        error: { details: expect.stringMatching(/a\.yaml:1:/) },
        resources: [{ status: 'REQUESTED' }],
      },
    ]);
    rig.xds.close();
  });
});

describe('any other source', () => {
  it.each([
    ['path /tmp/x', 'file', FILE],
    ['rest xds', 'rest', REST],
  ])('%s is given the options, and what became of updates is noted', async (text, kind, config) => {
    const played = new Played();
    const rig = new Rig('sotw', { otherSources: played });
    const subscriber = rig.subscribe(EDS, ['a', 'b'], 'test', config);
    expect(played.options.source).toBe(config);
    const shown = () =>
      rig.xds
        .report()
        .types.flatMap(({ source: from, resources }) =>
          resources.map(({ name, version, status }) => [from, name, version, status].join(' ')),
        );
    expect(shown()).toEqual([`${kind} a  REQUESTED`, `${kind} b  REQUESTED`]);
    played.options.callbacks.onFailure('timeout', 'late');
    expect(shown()).toEqual([`${kind} a  TIMEOUT`, `${kind} b  TIMEOUT`]);
    const held = subscriber.hold();
    const update = played.update(EDS, '1', 'a');
    expect(shown()).toEqual([`${kind} a  REQUESTED`, `${kind} b  REQUESTED`]);
    await held.accept();
    await update;
    expect(shown()).toEqual([`${kind} a 1 ACKED`, `${kind} b  DOES_NOT_EXIST`]);
    const refused = played.update(EDS, '2', 'a', 'b');
    const rejects = expect(refused).rejects.toThrow('no');
    await held.refuse(new Error('no'));
    await rejects;
    played.options.callbacks.onFailure('rejected', 'no');
    expect(shown()).toEqual([`${kind} a 1 NACKED`, `${kind} b  NACKED`]);
    subscriber.subscription.setNames(['b', 'c']);
    expect(shown()).toEqual([`${kind} b  NACKED`, `${kind} c  REQUESTED`]);
    subscriber.subscription.stop();
    expect(played.events).toEqual([`${text} [a,b]`, 'names [b,c]', 'stop']);
    expect(subscriber.take()).toEqual(['timeout', 'full +a=1 v1', 'full +a=2 +b=2 v2', 'rejected: no']);
  });

  it('is that of the authority where a name has one', () => {
    const played = new Played();
    const name = 'xdstp://files/envoy.config.endpoint.v3.ClusterLoadAssignment/a';
    const from = source({ authorities: [{ name: 'files' }], path_config_source: { path: '/tmp/y' } });
    const rig = new Rig('sotw', { otherSources: played, configSources: [from] });
    rig.subscribe(EDS, [name], 'test', null);
    expect(played.events).toEqual([`path /tmp/y [${name}]`]);
    expect(played.options.source).toBe(from);
  });

  it('may refuse its config, and ends with its owner', async () => {
    const played = new Played();
    const refusing = {
      checkPath: () => {},
      checkRest: () => {},
      path: () => {
        throw ConfigError.at('path', 'is not there');
      },
      rest: () => {
        throw ConfigError.at('cluster_names', 'is wrong');
      },
    };
    const rig = new Rig('sotw', { otherSources: refusing });
    expect(() => rig.subscribe(CDS, undefined, 'test', FILE)).toThrow(
      'path_config_source.path: is not there',
    );
    expect(() => rig.subscribe(CDS, undefined, 'test', REST)).toThrow(
      'api_config_source.cluster_names: is wrong',
    );
    expect(rig.xds.report().types).toEqual([]);
    const other = new Rig('sotw', { otherSources: played });
    const subscriber: Subscriber = other.subscribe(CDS, undefined, 'test', FILE);
    other.xds.close();
    await settled();
    expect(played.events).toEqual(['path /tmp/x', 'stop']);
    expect(subscriber.take()).toEqual([]);
  });
});

describe('a check', () => {
  it('is of the source alone', () => {
    const played = new Played();
    const rig = new Rig('sotw', { otherSources: played });
    const { subscriptions } = rig.xds;
    subscriptions.check(FILE, CDS, undefined);
    subscriptions.check(REST, EDS, ['a']);
    expect(played.events).toEqual([
      'check path /tmp/x',
      'check rest xds envoy.config.endpoint.v3.ClusterLoadAssignment',
    ]);
    subscriptions.check(ADS, CDS, undefined);
    expect([rig.grpc.streams, rig.xds.report().types]).toEqual([[], []]);
  });

  it.each<[string, object | undefined, DescMessage, string[] | undefined, RegExp]>([
    ['no source', undefined, CDS, undefined, /^a config source is required/],
    ['an empty one', {}, CDS, undefined, /^needs one of ads/],
    ['a bad timeout', { ads: {}, initial_fetch_timeout: '-1s' }, CDS, undefined, /^initial_fetch_timeout: /],
    ['an empty name', { ads: {} }, EDS, [''], /^the name of a resource may not be empty/],
    [
      'a service that there is not',
      { api_config_source: { api_type: 'GRPC', grpc_services: [{ envoy_grpc: { cluster_name: 'x' } }] } },
      LEDS,
      ['xdstp://a/envoy.config.endpoint.v3.LbEndpoint/x/*'],
      /^api_config_source.api_type: there is no discovery service of a state-of-the-world stream for LEDS/,
    ],
    [
      'a cluster that the factory refuses',
      { api_config_source: { api_type: 'GRPC', grpc_services: [{ google_grpc: {} }] } },
      CDS,
      undefined,
      /^api_config_source.grpc_services\[0\]: /,
    ],
    [
      'a file that is not there',
      { path_config_source: { path: '/nowhere/x' } },
      CDS,
      undefined,
      /^path_config_source.path: "/,
    ],
    ['the same, deprecated', { path: '/nowhere/x' }, CDS, undefined, /^path: "/],
    [
      'REST without a delay',
      { api_config_source: { api_type: 'REST', cluster_names: ['x'] } },
      CDS,
      undefined,
      /^api_config_source.refresh_delay: /,
    ],
    [
      'a collection in a file',
      { path_config_source: { path: '/' } },
      LEDS,
      ['xdstp://a/envoy.config.endpoint.v3.LbEndpoint/x/*'],
      /is a collection, and those come over gRPC only/,
    ],
  ])('refuses %s, as subscribing does', (_, config, type, names, text) => {
    const { rig } = onFile('a.yaml', '');
    const from = config === undefined ? undefined : source(config);
    expect(() => rig.xds.subscriptions.check(from, type, names)).toThrow(text);
    expect(() => rig.subscribe(type, names, 'test', from ?? null)).toThrow(text);
  });
});
