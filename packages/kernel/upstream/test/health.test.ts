import { HealthFlag, type HostListUpdate } from '@dragoman/core';
import { describe, expect, it } from 'vitest';
import { endpoint, hostList, localityOf } from './support/clusters.ts';
import { healthWorld } from './support/health.ts';

const A = '10.0.0.1:80';
const B = '10.0.0.2:80';
const FAILED = ['failed_active_hc'];

/** A world whose hosts have passed their first check. */
function well(check: object = {}, cluster: object = {}, ...addresses: string[]) {
  const world = healthWorld(check, cluster);
  const all = addresses.length === 0 ? [A] : addresses;
  world.pipeline.update(hostList(...all));
  for (const address of all) world.of(address).succeed();
  return world;
}

describe('the first check', () => {
  it('begins at once, and what it says counts at once', () => {
    const { pipeline, of, hosts, counts } = healthWorld();
    let ready = false;
    pipeline.update(hostList(A, B));
    pipeline.whenChecked(() => {
      ready = true;
    });
    expect(hosts()).toEqual({ [A]: FAILED, [B]: FAILED });
    of(A).succeed();
    expect([ready, hosts()]).toEqual([false, { [A]: [], [B]: FAILED }]);
    of(B).fail();
    expect([ready, hosts()]).toEqual([true, { [A]: [], [B]: FAILED }]);
    expect(counts()).toEqual({ attempt: 2, success: 1, failure: 1, healthy: 1 });
  });

  it('waits for up to initial_jitter', () => {
    const { pipeline, of, clock } = healthWorld({ initial_jitter: '3s' });
    pipeline.update(hostList(A));
    expect(of(A).attempts).toBe(0);
    clock.advance(3_000);
    expect(of(A).attempts).toBe(1);
  });

  it('is no longer waited for when the host has gone', () => {
    const { pipeline, of } = healthWorld();
    let ready = false;
    pipeline.update(hostList(A, B));
    pipeline.whenChecked(() => {
      ready = true;
    });
    of(A).succeed();
    pipeline.update(hostList(A));
    expect([ready, of(B).closed]).toEqual([true, true]);
  });
});

describe('thresholds', () => {
  it('several network failures make a host unhealthy, and several successes healthy again', () => {
    const { of, hosts, clock } = well();
    const next = (ms: number, end: () => void) => {
      clock.advance(ms);
      end();
      return hosts()[A];
    };
    const fail = () => of(A).fail({ kind: 'network' });
    const succeed = () => of(A).succeed();
    expect(next(5_000, fail)).toEqual([]);
    expect(next(5_000, succeed)).toEqual([]);
    expect(next(5_000, fail)).toEqual([]);
    expect(next(5_000, fail)).toEqual(FAILED);
    expect(next(5_000, succeed)).toEqual(FAILED);
    expect(next(5_000, fail)).toEqual(FAILED);
    expect(next(5_000, succeed)).toEqual(FAILED);
    expect(next(5_000, succeed)).toEqual(FAILED);
    expect(next(5_000, succeed)).toEqual([]);
  });

  it('an answer that is wrong counts at once, a retriable one does not', () => {
    const { of, hosts, clock } = well();
    clock.advance(5_000);
    of(A).fail({ retriable: true });
    expect(hosts()[A]).toEqual([]);
    clock.advance(5_000);
    of(A).fail();
    expect(hosts()[A]).toEqual(FAILED);
  });

  it('a check that takes too long is a failure of the network, and known as such', () => {
    const { of, hosts, clock, counts } = well({ unhealthy_threshold: 1 });
    clock.advance(5_000 + 1_000);
    expect([of(A).cancelled, hosts()[A]]).toEqual([1, ['failed_active_hc', 'active_hc_timeout']]);
    expect(counts()).toMatchObject({ failure: 1, network_failure: 1 });
    // A late answer is nobody's.
    of(A).succeed();
    expect(counts()).toMatchObject({ success: 1 });
    clock.advance(5_000);
    of(A).fail({ kind: 'network' });
    expect(hosts()[A]).toEqual(FAILED);
  });

  it('degraded hosts come and go with one answer', () => {
    const { of, hosts, clock, counts } = well();
    clock.advance(5_000);
    of(A).succeed(true);
    expect([hosts()[A], counts()]).toMatchObject([['degraded_active_hc'], { degraded: 1 }]);
    clock.advance(5_000);
    of(A).succeed();
    expect(hosts()[A]).toEqual([]);
  });

  it('a host that wants no traffic is left out of account until it is well', () => {
    const { of, hosts, clock, pipeline, counts } = well({ healthy_threshold: 1 });
    pipeline.onEvent(A, 'immediate-fail');
    expect(hosts()[A]).toEqual(['failed_active_hc', 'excluded_via_immediate_hc_fail']);
    expect(counts()).toMatchObject({ passive_failure: 1 });
    clock.advance(5_000);
    of(A).succeed();
    expect(hosts()[A]).toEqual([]);
  });
});

describe('intervals', () => {
  const INTERVALS = {
    interval: '10s',
    unhealthy_interval: '20s',
    unhealthy_edge_interval: '3s',
    healthy_edge_interval: '4s',
    no_traffic_interval: '60s',
    no_traffic_healthy_interval: '90s',
  };

  it('are those of the state that a host is in', () => {
    const { of, clock } = well(INTERVALS);
    const session = of(A);
    /** How long the next check is away, s. */
    const wait = (end: () => void): number => {
      end();
      const before = session.attempts;
      let seconds = 0;
      while (session.attempts === before) {
        clock.advance(1_000);
        seconds++;
      }
      return seconds;
    };
    const fail = () => session.fail({ kind: 'network' });
    const succeed = () => session.succeed();
    expect(wait(() => {})).toBe(10);
    expect([wait(fail), wait(fail), wait(fail)]).toEqual([3, 20, 20]);
    expect([wait(succeed), wait(succeed), wait(succeed), wait(succeed)]).toEqual([4, 4, 10, 10]);
  });

  it.each([
    [true, 90],
    [false, 60],
  ])('are long while there is no traffic, healthy: %s', (healthy, seconds) => {
    const { pipeline, of, clock, traffic } = healthWorld(INTERVALS);
    traffic.seen = false;
    pipeline.update(hostList(A));
    if (healthy) of(A).succeed();
    else of(A).fail();
    clock.advance(seconds * 1_000 - 1);
    expect(of(A).attempts).toBe(1);
    clock.advance(1);
    expect(of(A).attempts).toBe(2);
  });

  it('are lengthened by jitter within its bounds', () => {
    const { of, clock } = well({ timeout: '60s', interval_jitter: '2s', interval_jitter_percent: 50 });
    for (let round = 0; round < 20; round++) {
      const before = of(A).attempts;
      clock.advance(5_000 - 1);
      expect(of(A).attempts).toBe(before);
      clock.advance(1 + 2_500 + 2_000);
      expect(of(A).attempts).toBe(before + 1);
      of(A).succeed();
    }
  });
});

describe('hosts that come and go', () => {
  it('stay while they are well, though their source forgets them', () => {
    const { pipeline, of, hosts, clock } = well({ unhealthy_threshold: 1 }, {}, A, B);
    pipeline.update(hostList(B));
    expect(hosts()).toEqual({ [A]: ['pending_dynamic_removal'], [B]: [] });
    clock.advance(5_000);
    of(A).fail();
    of(B).succeed();
    expect([hosts(), of(A).closed]).toEqual([{ [B]: [] }, true]);
  });

  it('go at once when nobody checks them, or their source says that they are ill', () => {
    const { pipeline, hosts, of } = healthWorld();
    const unchecked = { ...endpoint(A), noHealthCheck: true };
    pipeline.update({ localities: [localityOf(0, unchecked, { ...endpoint(B), health: 'unhealthy' })] });
    of(B).succeed();
    pipeline.update({ localities: [] });
    expect(hosts()).toEqual({});
  });

  it('that are listed again are as before', () => {
    const { pipeline, hosts } = well({}, {}, A, B);
    pipeline.update(hostList(B));
    pipeline.update(hostList(A, B));
    expect(hosts()).toEqual({ [A]: [], [B]: [] });
  });

  it('go at once with ignore_health_on_host_removal', () => {
    const { pipeline, hosts, of, counts } = well({}, { ignore_health_on_host_removal: true }, A, B);
    pipeline.update(hostList(B));
    expect([hosts(), of(A).closed]).toEqual([{ [B]: [] }, true]);
    expect(counts()).toMatchObject({ healthy: 1 });
  });

  it('are not checked where they say so', () => {
    const { pipeline, of, hosts } = healthWorld();
    const list: HostListUpdate = {
      localities: [localityOf(0, { ...endpoint(A), noHealthCheck: true }, B)],
    };
    pipeline.update(list);
    expect(() => of(A)).toThrow('is not checked');
    expect(hosts()).toEqual({ [A]: [], [B]: FAILED });
  });

  it('that move while they wait for their first check are waited for once', () => {
    const { pipeline, of } = healthWorld();
    let ready = false;
    pipeline.update({ localities: [localityOf(0, { ...endpoint(A), id: 'web' })] });
    pipeline.whenChecked(() => {
      ready = true;
    });
    pipeline.update({ localities: [localityOf(0, { ...endpoint(B), id: 'web' })] });
    expect([ready, of(A).closed]).toEqual([false, true]);
    of(B).fail();
    expect(ready).toBe(true);
  });

  it('are checked where they say, at alt_port, else at their own address', () => {
    const { pipeline, of } = healthWorld({ alt_port: 99 });
    const list: HostListUpdate = {
      localities: [
        localityOf(0, A, {
          ...endpoint(B),
          healthCheckAddress: '10.9.9.9:1',
          healthCheckHostname: 'check.example',
        }),
      ],
    };
    pipeline.update(list);
    expect(of(A).target.address.text).toBe('10.0.0.1:99');
    expect(of(B).target).toMatchObject({ hostname: 'check.example', address: { text: '10.9.9.9:1' } });
  });

  it('that are new are left out of account with ignore_new_hosts_until_first_hc', () => {
    const common_lb_config = { ignore_new_hosts_until_first_hc: true, update_merge_window: '0s' };
    const { pipeline, of, hosts } = healthWorld({}, { common_lb_config });
    pipeline.update(hostList(A));
    expect(hosts()[A]).toEqual(['failed_active_hc', 'pending_active_hc']);
    of(A).fail({ kind: 'network' });
    expect(hosts()[A]).toEqual(FAILED);
  });
});

it('what has not changed stays the same object', () => {
  const { of, lists, clock } = well({ unhealthy_threshold: 1 }, {}, A, B);
  const [, before] = lists.at(-1)?.localities[0].endpoints ?? [];
  clock.advance(5_000);
  of(A).fail();
  const [changed, same] = lists.at(-1)?.localities[0].endpoints ?? [];
  expect(changed.checked).toBe(HealthFlag.failed_active_hc);
  expect(same).toBe(before);
});

it('merges changes of health within a window, and delivers changes of members at once', () => {
  const window = { common_lb_config: { update_merge_window: '1s' } };
  const { pipeline, of, lists, hosts, clock, stats } = healthWorld(
    { timeout: '60s', unhealthy_threshold: 1 },
    window,
  );
  pipeline.update(hostList(A, B));
  expect(lists.length).toBe(1);
  of(A).succeed();
  of(B).succeed();
  expect(lists.length).toBe(1);
  clock.advance(1_000);
  expect([lists.length, hosts()]).toEqual([2, { [A]: [], [B]: [] }]);
  pipeline.onEvent(A, 'immediate-fail');
  pipeline.update(hostList(A, B, '10.0.0.3:80'));
  expect([lists.length, hosts()[A]]).toEqual([3, [...FAILED, 'excluded_via_immediate_hc_fail']]);
  clock.advance(1_001);
  of('10.0.0.3:80').succeed();
  expect(lists.length).toBe(4);
  expect(stats.nonZero('')).toMatchObject({
    cluster_updated_via_merge: 1,
    update_merge_cancelled: 1,
    update_out_of_merge_window: 1,
  });
});

it('logs events as lines of JSON', () => {
  const event_logger = [
    {
      name: 'envoy.health_check.event_sink.file',
      typed_config: {
        '@type':
          'type.googleapis.com/envoy.extensions.health_check.event_sinks.file.v3.HealthCheckEventFileSink',
        event_log_path: '/log/health',
      },
    },
  ];
  const { pipeline, of, written, clock } = healthWorld({ event_logger, unhealthy_threshold: 1 });
  pipeline.update(hostList(A));
  of(A).succeed();
  clock.advance(5_000);
  of(A).fail();
  clock.advance(5_000);
  of(A).fail();
  expect(written.map(([path, line]) => [path, JSON.parse(line)])).toMatchObject([
    [
      '/log/health',
      {
        health_checker_type: 'TCP',
        cluster_name: 'web',
        host: { socket_address: { address: '10.0.0.1', port_value: 80 } },
        add_healthy_event: { first_check: true },
      },
    ],
    ['/log/health', { eject_unhealthy_event: { failure_type: 'ACTIVE' } }],
  ]);
});

it.each([
  [{ timeout: '0s' }, 'health_checks[0].timeout: must be more than 0 s'],
  [{ event_service: {} }, 'health_checks[0].event_service: events to a gRPC service'],
])('refuses %j', (check, message) => {
  expect(() => healthWorld(check)).toThrow(message);
});
