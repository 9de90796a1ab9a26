import {
  defineRetryHostPredicate,
  defineRetryPriority,
  ExtensionRegistry,
  type ForwardAction,
  type ForwardPolicies,
  GrpcRetryOn,
  NO_POLICIES,
  RetryOn,
} from '@dragoman/core';
import { PreviousHostsPredicateSchema, PreviousPrioritiesConfigSchema } from '@dragoman/api';
import { describe, expect, it } from 'vitest';
import { refusal, request, streamInfo, tableOf, testContext } from './routes-support.ts';

const predicate = { shouldSkip: () => false, onHostAttempted() {} };
const extensions = new ExtensionRegistry([
  defineRetryHostPredicate({
    name: 'envoy.retry_host_predicates.previous_hosts',
    config: PreviousHostsPredicateSchema,
    create: () => () => predicate,
  }),
  defineRetryPriority({
    name: 'envoy.retry_priorities.previous_priorities',
    config: PreviousPrioritiesConfigSchema,
    create: (config) => () => ({ shares: (_sets, load) => ({ ...load, config }), onHostAttempted() {} }),
  }),
]);

const warnings: string[] = [];
const context = testContext({
  extensions,
  warn: (path, message) => void warnings.push(`${path}: ${message}`),
});

/** The actions of the routes of a virtual host. */
function actions(virtualHost: string, ...routes: readonly string[]): ForwardAction[] {
  warnings.length = 0;
  const list = routes.map((route, i) => `{ match: { path: /${i} }, ${route} }`).join(', ');
  const table = tableOf(`virtual_hosts: [{ name: v, domains: ["*"], ${virtualHost} routes: [${list}] }]`, {
    context,
  });
  return routes.map((_route, i) => table.match(request(`/${i}`), streamInfo(), 0)?.action as ForwardAction);
}
const policies = (action: string, virtualHost = ''): ForwardPolicies =>
  actions(virtualHost, `route: { cluster: a, ${action} }`)[0].policies;
const retry = (policy: string) => policies(`retry_policy: { ${policy} }`).retry;

const TYPED =
  'retry_policy_typed_config: { "@type": type.googleapis.com/envoy.config.route.v3.RetryPolicy, num_retries: 7 }';

describe('a retry policy', () => {
  it('has Envoy’s defaults', () => {
    expect(retry('')).toEqual({
      on: 0,
      maxRetries: 1,
      perTryTimeoutMs: 0,
      perTryIdleTimeoutMs: 0,
      retriableStatusCodes: [],
      retriableHeaders: [],
      retriableRequestHeaders: [],
      baseIntervalMs: undefined,
      maxIntervalMs: undefined,
      resetHeaders: [],
      maxResetIntervalMs: 300_000,
      hostPredicates: [],
      createPriority: undefined,
      hostSelectionAttempts: 1,
    });
  });

  it('reads what is set', () => {
    expect(
      retry(`retry_on: "5xx, cancelled,reset", num_retries: 4, per_try_timeout: 1s, per_try_idle_timeout: 0.5s,
        retriable_status_codes: [418], host_selection_retry_max_attempts: 9,
        retry_back_off: { base_interval: 0.1s, max_interval: 1s },
        rate_limited_retry_back_off: { reset_headers: [{ name: Retry-After }, { name: X-R, format: UNIX_TIMESTAMP }], max_interval: 9s }`),
    ).toMatchObject({
      on: RetryOn['5xx'] | RetryOn.reset | GrpcRetryOn.cancelled,
      maxRetries: 4,
      perTryTimeoutMs: 1000,
      perTryIdleTimeoutMs: 500,
      retriableStatusCodes: [418],
      hostSelectionAttempts: 9,
      baseIntervalMs: 100,
      maxIntervalMs: 1000,
      resetHeaders: [
        { name: 'retry-after', format: 'seconds' },
        { name: 'x-r', format: 'unix-timestamp' },
      ],
      maxResetIntervalMs: 9000,
    });
  });

  it('compiles its extensions', () => {
    const policy = retry(`retry_host_predicate: [{ name: envoy.retry_host_predicates.previous_hosts }],
      retry_priority: { name: p, typed_config: { "@type": type.googleapis.com/envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig, update_frequency: 2 } }`);
    expect(policy?.hostPredicates.map((create) => create())).toEqual([predicate]);
    expect(policy?.createPriority?.().shares([], { healthy: [], degraded: [] })).toMatchObject({
      config: { updateFrequency: 2 },
    });
  });

  it.each([
    ['the action’s', 'retry_policy: { num_retries: 2 }', '', 2],
    ['the virtual host’s', '', 'retry_policy: { num_retries: 3 },', 3],
    [
      'the action’s before the virtual host’s, nothing of which is inherited',
      'retry_policy: { retry_on: 5xx }',
      'retry_policy: { num_retries: 3 },',
      1,
    ],
    ['the action’s, by type', TYPED, '', 7],
    ['the virtual host’s, by type', '', `${TYPED},`, 7],
    ['the action’s by type before the virtual host’s', TYPED, 'retry_policy: { num_retries: 3 },', 7],
    ['the plain one before the typed one', `retry_policy: { num_retries: 2 }, ${TYPED}`, '', 2],
    ['none', '', '', undefined],
  ])('is %s', (_name, action, virtualHost, retries) => {
    expect(policies(action, virtualHost).retry?.maxRetries).toBe(retries);
  });

  it('of a virtual host is made once, and shared by its routes and their clusters', () => {
    const [first, second] = actions(
      'retry_policy: { retry_on: 5xx },',
      'route: { cluster: a }',
      'route: { weighted_clusters: { clusters: [{ name: a, weight: 1 }] } }',
    );
    expect(first.policies.retry).toBeDefined();
    expect(second.policies.retry).toBe(first.policies.retry);
  });

  it('routes that ask for nothing share one set of policies', () => {
    expect(policies('')).toBe(NO_POLICIES);
  });

  it.each([
    ['5xxx', 'retry_policy.retry_on: "5xxx" is no condition, and has no effect; did you mean "5xx"?'],
    [
      '5xx,grpc-unavailable-ish',
      'retry_policy.retry_on: "grpc-unavailable-ish" is no condition, and has no effect',
    ],
  ])('warns of a word that means nothing: %s', (words, warning) => {
    expect(retry(`retry_on: "${words}"`)).toBeDefined();
    expect(warnings).toEqual([warning]);
  });

  const ROUTE = 'virtual_hosts[0].routes[0].route.';
  it.each([
    [
      'retry_policy: { retry_options_predicates: [{ name: x }] }',
      'retry_policy.retry_options_predicates',
      /no retry options predicate is known/,
    ],
    [
      'retry_policy: { host_selection_retry_max_attempts: -1 }',
      'retry_policy.host_selection_retry_max_attempts',
      /may not be negative/,
    ],
    [
      'retry_policy: { host_selection_retry_max_attempts: 1001 }',
      'retry_policy.host_selection_retry_max_attempts',
      /more than 1000/,
    ],
    [
      'retry_policy: { retry_back_off: { max_interval: 1s } }',
      'retry_policy.retry_back_off.base_interval',
      /is required/,
    ],
    [
      'retry_policy: { retry_back_off: { base_interval: 2s, max_interval: 1s } }',
      'retry_policy.retry_back_off.max_interval',
      /less than base_interval/,
    ],
    [
      'retry_policy: { retriable_headers: [{ name: "a b" }] }',
      'retry_policy.retriable_headers[0].name',
      /is not a header name/,
    ],
    [
      'retry_policy: { retriable_request_headers: [{ name: "" }] }',
      'retry_policy.retriable_request_headers[0].name',
      /is not a header name/,
    ],
    [
      'retry_policy: { retry_host_predicate: [{ name: envoy.retry_host_predicates.omit_canary_hosts }] }',
      'retry_policy.retry_host_predicate[0]',
      /@dragoman\/retry-policy-omit-canary-hosts would provide it/,
    ],
    [
      'retry_policy: { retry_host_predicate: [{ name: envoy.retry_priorities.previous_priorities }] }',
      'retry_policy.retry_host_predicate[0]',
      /is no retry host predicate/,
    ],
    [
      'retry_policy: { retry_priority: { name: envoy.retry_host_predicates.previous_hosts } }',
      'retry_policy.retry_priority',
      /is no retry priority/,
    ],
    [
      'retry_policy_typed_config: { "@type": type.googleapis.com/envoy.config.route.v3.HedgePolicy }',
      'retry_policy_typed_config',
      /must be a envoy.config.route.v3.RetryPolicy/,
    ],
    [
      'early_data_policy: { name: x, typed_config: { "@type": type.googleapis.com/envoy.config.route.v3.HedgePolicy } }',
      'early_data_policy',
      /envoy.route.early_data_policy.default is known/,
    ],
    ['max_grpc_timeout: -1s', 'max_grpc_timeout', /may not be negative/],
  ])('refuses %s', (action, path, message) => {
    const problems = refusal(() => policies(action));
    expect(problems.map((problem) => problem.path)).toEqual([ROUTE + path]);
    expect(problems[0].message).toMatch(message);
  });

  it('of a virtual host is refused there', () => {
    const problems = refusal(() =>
      policies('', 'retry_policy: { retry_options_predicates: [{ name: x }] },'),
    );
    expect(problems.map((problem) => problem.path)).toEqual([
      'virtual_hosts[0].retry_policy.retry_options_predicates',
    ]);
  });
});

describe('other policies', () => {
  it.each([
    ['hedge_policy: {}', '', false],
    ['hedge_policy: { hedge_on_per_try_timeout: true }', '', true],
    ['', 'hedge_policy: { hedge_on_per_try_timeout: true },', true],
    ['hedge_policy: {}', 'hedge_policy: { hedge_on_per_try_timeout: true },', false],
    ['', '', undefined],
  ])('hedge_policy %s %s', (action, virtualHost, hedges) => {
    expect(policies(action, virtualHost).hedge?.onPerTryTimeout).toBe(hedges);
  });

  it.each([
    [
      'initial_requests: 2',
      'hedge_policy.initial_requests: has no effect, as in Envoy: one request is sent at first',
    ],
    ['initial_requests: 1', undefined],
    [
      'additional_request_chance: { numerator: 5 }',
      'hedge_policy.additional_request_chance: has no effect, as in Envoy',
    ],
  ])('warns of what Envoy does not act on either: %s', (field, warning) => {
    policies(`hedge_policy: { ${field} }`);
    expect(warnings).toEqual(warning === undefined ? [] : [warning]);
  });

  it.each([
    ['per_request_buffer_limit_bytes: 5', '', { requestBufferLimitBytes: 5 }],
    ['', 'per_request_buffer_limit_bytes: 6,', { requestBufferLimitBytes: 6 }],
    [
      'per_request_buffer_limit_bytes: 0',
      'per_request_buffer_limit_bytes: 6,',
      { requestBufferLimitBytes: 0 },
    ],
    ['request_body_buffer_limit: 5', '', { requestBodyBufferLimitBytes: 5 }],
    ['', 'request_body_buffer_limit: 6,', { requestBodyBufferLimitBytes: 6 }],
    ['request_body_buffer_limit: 5', 'request_body_buffer_limit: 6,', { requestBodyBufferLimitBytes: 5 }],
  ])('limits %s %s', (route, virtualHost, limits) => {
    const [action] = actions(virtualHost, `route: { cluster: a }, ${route}`);
    expect(action.policies).toMatchObject(limits);
  });

  it('refuses both limits at one level', () => {
    const both = 'per_request_buffer_limit_bytes: 5, request_body_buffer_limit: 6';
    const paths = (run: () => unknown) => refusal(run).map((problem) => problem.path);
    expect(paths(() => actions(`${both},`, 'route: { cluster: a }'))).toEqual([
      'virtual_hosts[0].request_body_buffer_limit',
    ]);
    expect(paths(() => actions('', `route: { cluster: a }, ${both}`))).toEqual([
      'virtual_hosts[0].routes[0].request_body_buffer_limit',
    ]);
  });

  it('max_stream_duration leaves the route without a timeout', () => {
    const timeoutMs = (action: string) => actions('', `route: { cluster: a, ${action} }`)[0].timeoutMs;
    expect([
      timeoutMs(''),
      timeoutMs('max_stream_duration: {}'),
      timeoutMs('timeout: 1s, max_stream_duration: {}'),
    ]).toEqual([15_000, 0, 0]);
  });

  it('takes the default early data policy, and a decorator’s propagate: there is nothing that they could change', () => {
    const [action] = actions(
      '',
      `decorator: { operation: o, propagate: false }, route: { cluster: a, early_data_policy: { name: envoy.route.early_data_policy.default,
        typed_config: { "@type": type.googleapis.com/envoy.extensions.early_data.v3.DefaultEarlyDataPolicy } } }`,
    );
    expect(action.policies).toBe(NO_POLICIES);
  });
});
