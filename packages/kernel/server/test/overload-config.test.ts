import { OverloadManagerSchema, readLoose } from '@dragoman/api';
import { ConfigError, ExtensionRegistry, type ResourceMonitorExtension } from '@dragoman/core';
import { downstreamConnections } from '@dragoman/resource-monitor-downstream-connections';
import { type JsonObject, testContext } from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { readOverloadManager } from '../src/overload/config.ts';

const monitor = (name: string): ResourceMonitorExtension => ({
  category: 'resource-monitors',
  name,
  create: () => ({ measure: () => 0 }),
});

const context = {
  ...testContext({ extensions: new ExtensionRegistry([monitor('a'), monitor('b'), downstreamConnections]) }),
  downstreamConnections: () => 0,
};
const CONNECTIONS = {
  name: 'envoy.resource_monitors.global_downstream_max_connections',
  typed_config: {
    '@type':
      'type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig',
    max_active_downstream_connections: 5,
  },
};

const read = (fields: JsonObject) =>
  readOverloadManager(
    readLoose(OverloadManagerSchema, {
      resource_monitors: [{ name: 'a' }, { name: 'b' }],
      ...fields,
    }) as never,
    context,
  );

const STOP = 'envoy.overload_actions.stop_accepting_requests';
const REDUCE = 'envoy.overload_actions.reduce_timeouts';
const SHRINK = 'envoy.overload_actions.shrink_heap';
const RESET = 'envoy.overload_actions.reset_high_memory_stream';
const ACCEPT = 'envoy.load_shed_points.tcp_listener_accept';
const trigger = (name = 'a'): JsonObject => ({ name, threshold: { value: 0.5 } });
const action = (fields: JsonObject = {}): JsonObject => ({ name: STOP, triggers: [trigger()], ...fields });
const typed = (type: string, fields: JsonObject = {}): JsonObject => ({
  '@type': `type.googleapis.com/envoy.config.overload.v3.${type}`,
  ...fields,
});
const timers = (...list: JsonObject[]): JsonObject =>
  action({
    name: REDUCE,
    typed_config: typed('ScaleTimersOverloadActionConfig', { timer_scale_factors: list }),
  });

describe('what is read', () => {
  test('defaults', () => {
    const plan = read({});
    expect([plan.refreshMs, plan.actions, plan.points, plan.timers, plan.shrinkIntervalMs]).toEqual([
      1000,
      [],
      [],
      [],
      undefined,
    ]);
    expect(plan.monitors.map(({ name }) => name)).toEqual(['a', 'b']);
  });

  test('everything', () => {
    const plan = read({
      refresh_interval: '0.25s',
      resource_monitors: [{ name: 'a' }, { name: 'b' }, CONNECTIONS],
      actions: [
        action({ triggers: [trigger('b'), trigger(CONNECTIONS.name)] }),
        timers(
          { timer: 'HTTP_DOWNSTREAM_CONNECTION_IDLE', min_timeout: '2s' },
          { timer: 'TRANSPORT_SOCKET_CONNECT', min_scale: { value: 10 } },
        ),
        action({ name: SHRINK, typed_config: typed('ShrinkHeapConfig', { timer_interval: '3s' }) }),
      ],
      loadshed_points: [action({ name: ACCEPT })],
    });
    expect(plan.refreshMs).toBe(250);
    expect(
      plan.actions.map(({ name, triggers }) => [name, triggers.map(({ resource }) => resource)]),
    ).toEqual([
      [STOP, [1, 2]],
      [REDUCE, [0]],
      [SHRINK, [0]],
    ]);
    expect(plan.points.map(({ name }) => name)).toEqual([ACCEPT]);
    expect(plan.timers).toEqual([
      { name: 'HTTP_DOWNSTREAM_CONNECTION_IDLE', minMs: 2000, minShare: 1 },
      { name: 'TRANSPORT_SOCKET_CONNECT', minMs: undefined, minShare: 0.1 },
    ]);
    expect(plan.shrinkIntervalMs).toBe(3000);
    expect(plan.monitors[2]?.monitor.maxDownstreamConnections).toBe(5);
  });

  test('reset_high_memory_stream', () => {
    const fields = { buffer_factory_config: { minimum_account_to_track_power_of_two: 20 } };
    expect(read({ actions: [action({ name: RESET })], ...fields }).resetPower).toBe(20);
    expect(read({ actions: [action()], ...fields }).resetPower).toBeUndefined();
  });

  test('shrink_heap without a config', () => {
    expect(read({ actions: [action({ name: SHRINK })] }).shrinkIntervalMs).toBe(10_000);
  });
});

describe('what is refused', () => {
  test.each<[string, JsonObject, string, string]>([
    ['no time to measure', { refresh_interval: '0s' }, 'refresh_interval', 'at least 0.001s'],
    [
      'two monitors of a name',
      { resource_monitors: [{ name: 'a' }, { name: 'a' }] },
      'resource_monitors[1].name',
      'another resource monitor is named "a" too',
    ],
    [
      'a monitor that the proxy has not',
      { resource_monitors: [{ name: 'envoy.resource_monitors.fixed_heap' }] },
      'resource_monitors[0].typed_config',
      'the package @dragoman/resource-monitor-fixed-heap would provide it',
    ],
    [
      'a monitor’s own config',
      {
        resource_monitors: [
          {
            ...CONNECTIONS,
            typed_config: { ...CONNECTIONS.typed_config, max_active_downstream_connections: 0 },
          },
        ],
      },
      'resource_monitors[0].typed_config.max_active_downstream_connections',
      'must be greater than 0',
    ],
    [
      'an action that nobody knows',
      { actions: [action({ name: 'mine' })] },
      'actions[0].name',
      'unknown overload action "mine"; there are envoy.overload_actions.stop_accepting_requests, ',
    ],
    [
      'an action with a typing error',
      { actions: [action({ name: `${STOP}s` })] },
      'actions[0].name',
      `did you mean "${STOP}"?`,
    ],
    [
      'reset_high_memory_stream without a size',
      { actions: [action({ name: RESET })] },
      'actions[0]',
      'set overload_manager.buffer_factory_config.minimum_account_to_track_power_of_two',
    ],
    [
      'reset_high_memory_stream with a config',
      {
        actions: [action({ name: RESET, typed_config: typed('ShrinkHeapConfig') })],
        buffer_factory_config: { minimum_account_to_track_power_of_two: 20 },
      },
      'actions[0].typed_config',
      'takes no config',
    ],
    [
      'close_idle_http_connections',
      { actions: [action({ name: 'envoy.overload_actions.close_idle_http_connections' })] },
      'actions[0].name',
      'HTTP/3 is not supported',
    ],
    [
      'an action twice',
      { actions: [action(), action()] },
      'actions[1].name',
      'another overload action is named',
    ],
    [
      'two triggers of one resource',
      { actions: [action({ triggers: [trigger(), trigger()] })] },
      'actions[0].triggers[1].name',
      'another trigger of it is named "a" too',
    ],
    [
      'a trigger of no resource',
      { actions: [action({ triggers: [trigger('c')] })] },
      'actions[0].triggers[0].name',
      '"c" is no resource monitor that can be used here; those of resource_monitors are "a", "b"',
    ],
    [
      'a trigger without a threshold',
      { actions: [action({ triggers: [{ name: 'a' }] })] },
      'actions[0].triggers[0]',
      'a trigger needs a threshold',
    ],
    [
      'thresholds that are one',
      {
        actions: [
          action({
            triggers: [{ name: 'a', scaled: { scaling_threshold: 0.5, saturation_threshold: 0.5 } }],
          }),
        ],
      },
      'actions[0].triggers[0].scaled',
      'scaling_threshold must be less than saturation_threshold, is 0.5',
    ],
    [
      'a config that nobody reads',
      { actions: [action({ typed_config: typed('ShrinkHeapConfig') })] },
      'actions[0].typed_config',
      'takes no config',
    ],
    [
      'reduce_timeouts without timers',
      { actions: [action({ name: REDUCE })] },
      'actions[0].typed_config',
      'needs a type.googleapis.com/envoy.config.overload.v3.ScaleTimersOverloadActionConfig',
    ],
    [
      'reduce_timeouts with another config',
      { actions: [action({ name: REDUCE, typed_config: typed('ShrinkHeapConfig') })] },
      'actions[0].typed_config',
      'and this is a envoy.config.overload.v3.ShrinkHeapConfig',
    ],
    [
      'a timer twice',
      {
        actions: [
          timers(
            { timer: 'TRANSPORT_SOCKET_CONNECT', min_timeout: '1s' },
            { timer: 'TRANSPORT_SOCKET_CONNECT', min_timeout: '2s' },
          ),
        ],
      },
      'actions[0].typed_config.timer_scale_factors[1].timer',
      'TRANSPORT_SOCKET_CONNECT is listed twice',
    ],
    [
      'a minimum below nothing',
      { actions: [timers({ timer: 'TRANSPORT_SOCKET_CONNECT', min_timeout: '-1s' })] },
      'actions[0].typed_config.timer_scale_factors[0].min_timeout',
      'must not be negative, is -1s',
    ],
    [
      'a timer without a minimum',
      { actions: [timers({ timer: 'TRANSPORT_SOCKET_CONNECT' })] },
      'actions[0].typed_config.timer_scale_factors[0]',
      'needs min_timeout, or min_scale',
    ],
    [
      'memory that tcmalloc keeps',
      {
        actions: [
          action({
            name: SHRINK,
            typed_config: typed('ShrinkHeapConfig', { max_unfreed_memory_bytes: '1' }),
          }),
        ],
      },
      'actions[0].typed_config.max_unfreed_memory_bytes',
      'is for tcmalloc',
    ],
    [
      'a load shed point that nobody knows',
      { loadshed_points: [action({ name: 'envoy.load_shed_points.tcp_listener_acept' })] },
      'loadshed_points[0].name',
      `did you mean "${ACCEPT}"?`,
    ],
    [
      'a load shed point of HTTP/3',
      { loadshed_points: [action({ name: 'envoy.load_shed_points.http3_server_go_away_on_dispatch' })] },
      'loadshed_points[0].name',
      'HTTP/3 is not supported',
    ],
    [
      'a load shed point on connections, as in Envoy',
      {
        resource_monitors: [{ name: 'a' }, CONNECTIONS],
        loadshed_points: [action({ name: ACCEPT, triggers: [trigger(CONNECTIONS.name)] })],
      },
      'loadshed_points[0].triggers[0].name',
      'is no resource monitor that can be used here; those of resource_monitors are "a"',
    ],
  ])('%s', (_, fields, path, message) => {
    try {
      read(fields);
    } catch (error) {
      expect(error).toBeInstanceOf(ConfigError);
      const { problems } = error as ConfigError;
      expect(problems).toEqual([
        expect.objectContaining({ path, message: expect.stringContaining(message) }),
      ]);
      return;
    }
    throw new Error('it was accepted');
  });

  test('all problems at once', () => {
    expect(() =>
      read({ refresh_interval: '0s', actions: [action({ name: 'x' }), action({ name: RESET })] }),
    ).toThrow(/refresh_interval[\s\S]*actions\[0\]\.name[\s\S]*buffer_factory_config/);
  });
});
