import type { HostDescription } from '@dragoman/core';
import { describe, expect, it } from 'vitest';
import { world } from './support/clusters.ts';

function hostIn(zone: string): HostDescription {
  return { locality: { region: 'r', zone, subZone: '' } } as HostDescription;
}

describe('stats by zone', () => {
  it('count responses and times from this zone to the host of another', () => {
    const { cluster, stats } = world({}, { zone: 'a' });
    const { info } = cluster;
    info.chargeResponse(200, false, false, hostIn('b'));
    info.chargeResponse(201, true, true, hostIn('b'));
    info.chargeResponse(503, false, false, hostIn('a'));
    info.chargeResponseTime(4, false, false, hostIn('b'));
    expect(stats.nonZero('cluster.web.zone.')).toEqual({
      'a.b.upstream_rq_completed': 2,
      'a.b.upstream_rq_2xx': 2,
      'a.b.upstream_rq_200': 1,
      'a.b.upstream_rq_201': 1,
      'a.a.upstream_rq_completed': 1,
      'a.a.upstream_rq_5xx': 1,
      'a.a.upstream_rq_503': 1,
    });
    expect(stats.recorded('cluster.web.zone.a.b.upstream_rq_time')).toEqual([4]);
    expect(stats.value('cluster.web.upstream_rq_completed')).toBe(3);
  });

  it('need both zones', () => {
    const here = world({}, { zone: 'a' });
    here.cluster.info.chargeResponse(200, false, false, hostIn(''));
    here.cluster.info.chargeResponse(200, false, false);
    expect(here.stats.nonZero('cluster.web.zone.')).toEqual({});
    const nowhere = world();
    nowhere.cluster.info.chargeResponse(200, false, false, hostIn('b'));
    nowhere.cluster.info.chargeResponseTime(1, false, false, hostIn('b'));
    expect(nowhere.stats.nonZero('cluster.web.zone.')).toEqual({});
    expect(nowhere.stats.value('cluster.web.upstream_rq_200')).toBe(1);
  });
});

describe('stats under an alternative name', () => {
  it('count everything a second time', () => {
    const { cluster, stats } = world({}, { zone: 'a' });
    cluster.info.chargeResponse(200, true, true, hostIn('b'), 'shop.cart');
    cluster.info.chargeResponseTime(6, true, true, hostIn('b'), 'shop.cart');
    const counted = {
      upstream_rq_completed: 1,
      upstream_rq_2xx: 1,
      upstream_rq_200: 1,
    };
    for (const below of ['', 'internal.', 'canary.', 'zone.a.b.']) {
      for (const prefix of ['cluster.web.', 'cluster.web.shop.cart.'])
        expect(stats.nonZero(prefix + below), prefix + below).toMatchObject(counted);
      expect(stats.recorded(`cluster.web.shop.cart.${below}upstream_rq_time`)).toEqual([6]);
    }
    expect(stats.nonZero('cluster.web.shop.cart.external.')).toEqual({});
  });

  it('keep of a name what a stat may be named', () => {
    const { cluster, stats } = world();
    for (const name of ['', 'a b:c/\u00e9', '..x.', '.'])
      cluster.info.chargeResponse(200, false, false, undefined, name);
    for (const name of ['a_b_c__', '__x_', '_'])
      expect(stats.value(`cluster.web.${name}.upstream_rq_200`), name).toBe(1);
    expect(stats.value('cluster.web.upstream_rq_200')).toBe(4);
    expect(stats.value('cluster.web.upstream_rq_alt_stat_name_dropped')).toBeUndefined();
  });

  it('exist for a hundred names, and none that is long', () => {
    const { cluster, stats } = world();
    const charge = (name: string) => cluster.info.chargeResponse(200, false, false, undefined, name);
    charge('n'.repeat(129));
    for (let i = 0; i < 150; i++) charge(`name${i}`);
    charge('name99');
    expect(stats.value('cluster.web.name99.upstream_rq_200')).toBe(2);
    expect(stats.value('cluster.web.name100.upstream_rq_200')).toBeUndefined();
    expect(Object.keys(stats.nonZero('cluster.web.n')).length).toBe(100 * 6);
    expect(stats.value('cluster.web.upstream_rq_alt_stat_name_dropped')).toBe(51);
    expect(stats.value('cluster.web.upstream_rq_200')).toBe(152);
  });
});
