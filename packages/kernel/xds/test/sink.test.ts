import {
  anyPack,
  ClusterSchema as CDS,
  ClusterLoadAssignmentSchema as EDS,
  create,
  DiscoveryResponseSchema,
} from '@dragoman/api';
import { ConfigError } from '@dragoman/core';
import { describe, expect, it } from 'vitest';
import type { OpenSource, ResponseSink, SourceType } from '../src/index.ts';
import { describe as shown, Rig, settled, source } from './support/rig.ts';

class Opened {
  readonly events: string[] = [];
  sink!: ResponseSink;
  type!: SourceType;
  readonly open: OpenSource = (_, sink, type) => {
    this.sink = sink;
    this.type = type;
    return { namesChanged: () => this.events.push('names'), close: () => this.events.push('close') };
  };
}

const REST = source({
  api_config_source: { api_type: 'REST', transport_api_version: 'V3', cluster_names: ['xds'] },
});
const FILE = source({ path_config_source: { path: '/tmp/x' } });
const response = (version: string, names: string[]) =>
  create(DiscoveryResponseSchema, {
    versionInfo: version,
    resources: names.map((name) => anyPack(CDS, create(CDS, { name, altStatName: version }))),
  });

describe('a source that is no stream', () => {
  it.each([
    ['path', FILE],
    ['rest', REST],
  ])('of kind %s is given what it needs', async (kind, config) => {
    const opened = new Opened();
    const rig = new Rig('sotw', { otherSources: { [kind]: opened.open } });
    const subscriber = rig.subscribe(CDS, undefined, 'test', config);
    expect(opened.type).toEqual({
      typeUrl: 'type.googleapis.com/envoy.config.cluster.v3.Cluster',
      label: 'CDS',
    });
    expect(opened.sink.request()).toMatchObject({ node: { id: 'node' }, versionInfo: '', resourceNames: [] });
    expect(await opened.sink.deliver(response('1', ['a', 'b']))).toBeUndefined();
    subscriber.answer = () => {
      throw ConfigError.at('a', 'no');
    };
    expect(await opened.sink.deliver(response('2', ['a']))).toBe('a: no');
    expect(shown(opened.sink.request())).toBe('CDS v1 [] NACK 3: a: no');
    opened.sink.failed('gone');
    expect(subscriber.take()).toEqual(['full +a=1 +b=1 v1', 'full +a=2 v2', 'rejected: a: no', 'connection']);
    expect(rig.xds.report().types).toMatchObject([{ source: kind, version: '1', error: { version: '2' } }]);
    subscriber.subscription.stop();
    expect(opened.events).toEqual(['close']);
    expect(rig.xds.report().types).toEqual([]);
  });

  it('hears of names, and drops responses that newer ones make superfluous', async () => {
    const opened = new Opened();
    const rig = new Rig('sotw', { otherSources: { rest: opened.open } });
    const named = rig.subscribe(EDS, ['a'], 'named', REST);
    named.subscription.setNames(['b']);
    expect(opened.events).toEqual(['names']);
    expect(opened.sink.request().resourceNames).toEqual(['b']);
    const all = rig.subscribe(CDS, undefined, 'test', REST);
    const held = all.hold();
    const done = ['1', '2', '3'].map((version) => opened.sink.deliver(response(version, ['a'])));
    await held.accept();
    await held.accept();
    expect(await Promise.all(done)).toEqual([undefined, undefined, undefined]);
    expect(all.take()).toEqual(['full +a=1 v1', 'full +a=3 v3']);
  });

  it('may refuse its config', async () => {
    const rig = new Rig('sotw', {
      otherSources: {
        path: () => {
          throw ConfigError.at('path_config_source.path', 'is not there');
        },
      },
    });
    expect(() => rig.subscribe(CDS, undefined, 'test', FILE)).toThrow(
      'path_config_source.path: is not there',
    );
    expect(rig.context.clock.pendingTimers).toBe(0);
  });

  it('ends with its owner', async () => {
    const opened = new Opened();
    const rig = new Rig('sotw', { otherSources: { path: opened.open } });
    const subscriber = rig.subscribe(CDS, undefined, 'test', FILE);
    rig.xds.close();
    expect(opened.events).toEqual(['close']);
    await opened.sink.deliver(response('1', ['a']));
    await settled();
    expect(subscriber.take()).toEqual([]);
  });
});
