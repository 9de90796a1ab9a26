import { OverrideHostSchema, readLoose } from '@dragoman/api';
import {
  ConfigError,
  type Host,
  type LoadBalancer,
  type MetadataValue,
  RequestHeaders,
  StreamInfo,
} from '@dragoman/core';
import {
  hostSetOf,
  loadBalancerConformance,
  loadBalancerContext,
  connectionInfo,
  pickContext,
  simpleBalancer,
  testHost,
  testHosts,
} from '@dragoman/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { overrideHost } from '../src/index.ts';

const HEADER = 'x-gateway-destination-endpoint';
const SOURCES = [
  { header: 'X-Gateway-Destination-Endpoint' },
  { metadata: { key: 'envoy.lb', path: [{ key: HEADER }] } },
];
const child = {
  policies: [
    {
      typed_extension_config: {
        name: 'envoy.load_balancing_policies.round_robin',
        typed_config: {
          '@type': 'type.googleapis.com/envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin',
        },
      },
    },
  ],
};

function typed(config: object): never {
  const whole = { override_host_sources: SOURCES, fallback_policy: child, ...config };
  return readLoose(OverrideHostSchema, whole) as never;
}

const invalid = (name: string, sources: object[], path: string) => ({
  name,
  config: typed({ override_host_sources: sources }),
  path,
});

loadBalancerConformance(
  { describe, it },
  {
    extension: overrideHost,
    config: typed({}),
    // Weights are the fallback's business.
    weighted: false,
    invalid: [
      invalid('no source', [], 'override_host_sources'),
      invalid('an empty source', [SOURCES[0], {}], 'override_host_sources[1]'),
      invalid('a source of two kinds', [{ ...SOURCES[0], ...SOURCES[1] }], 'override_host_sources[0]'),
      invalid('a namespace alone', [{ metadata: { key: 'a' } }], 'override_host_sources[0].metadata.path'),
      invalid(
        'no namespace',
        [{ metadata: { path: [{ key: 'a' }] } }],
        'override_host_sources[0].metadata.key',
      ),
      {
        name: 'an empty key',
        config: typed({ selected_host_key: { key: 'a' } }),
        path: 'selected_host_key.path',
      },
    ],
  },
);

const requestInfo = (): StreamInfo => new StreamInfo(connectionInfo(), 0, 0);

const hosts = testHosts(4);
const [h1, h2, h3] = hosts;
const v6 = testHost('[2001:db8::1]:80', 1, { healthFlags: 1 });
/** Has only the healthy hosts of priority 0, so what else comes was named. */
function balancer(config: object = {}): LoadBalancer {
  const made = overrideHost.create(typed(config), loadBalancerContext()).createBalancer(simpleBalancer);
  made.update([
    hostSetOf(hosts, { healthyHosts: [h1], healthyHostsByLocality: [[h1]] }),
    hostSetOf([v6], { priority: 1, healthyHosts: [], healthyHostsByLocality: [[]] }),
  ]);
  return made;
}

interface Request {
  readonly header?: string;
  readonly metadata?: MetadataValue;
}

/** Tries of one request, in a row. */
function tries(over: LoadBalancer, count: number, { header, metadata }: Request): (Host | undefined)[] {
  const info = requestInfo();
  if (metadata !== undefined) info.dynamicMetadata.set('envoy.lb', { [HEADER]: metadata });
  const requestHeaders = new RequestHeaders();
  if (header !== undefined) requestHeaders.set(HEADER, header);
  const context = pickContext({ info, requestHeaders });
  return Array.from({ length: count }, () => over.choose(context));
}

describe('tries of one request', () => {
  it.each<[string, Request, Host[]]>([
    ['without a host of its own', {}, [h1, h1]],
    ['one address', { header: '10.0.0.3:80' }, [h3, h1, h1]],
    ['a list: the next for each retry', { header: '10.0.0.3:80, 10.0.0.2:80' }, [h3, h2, h1, h1]],
    ['the same one twice', { header: '10.0.0.3:80,10.0.0.3:80' }, [h3, h3, h1]],
    ['empty parts', { header: ' , ,10.0.0.2:80,,' }, [h2, h1]],
    ['an empty header', { header: '' }, [h1]],
    ['an unknown address', { header: '10.9.9.9:80' }, [h1, h1]],
    [
      'an unknown one among others',
      { header: '10.9.9.9:80,10.0.0.2:80,10.9.9.9:80,10.0.0.3:80' },
      [h2, h3, h1],
    ],
    ['without its port', { header: '10.0.0.3' }, [h1]],
    ['an unhealthy one of another priority', { header: '[2001:db8::1]:80' }, [v6, h1]],
    ['metadata', { metadata: '10.0.0.2:80' }, [h2, h1]],
    ['both: in the order of the sources', { header: '10.0.0.3:80', metadata: '10.0.0.2:80' }, [h3, h2, h1]],
    ['metadata that is no string', { metadata: ['10.0.0.2:80'] }, [h1]],
  ])('%s', (_name, request, expected) => {
    expect(tries(balancer(), expected.length, request)).toEqual(expected);
  });

  it('are apart from those of another', () => {
    const over = balancer();
    const request = { header: '10.0.0.3:80,10.0.0.2:80' };
    expect(tries(over, 1, request)).toEqual([h3]);
    expect(tries(over, 2, request)).toEqual([h3, h2]);
  });

  it('read what is named only once', () => {
    const over = balancer();
    const info = requestInfo();
    const requestHeaders = new RequestHeaders();
    requestHeaders.set(HEADER, '10.0.0.3:80');
    const context = pickContext({ info, requestHeaders });
    over.choose(context);
    requestHeaders.set(HEADER, '10.0.0.2:80');
    expect(over.choose(context)).toBe(h1);
  });

  it('see a list that comes several times as its first', () => {
    const requestHeaders = new RequestHeaders();
    requestHeaders.append(HEADER, '10.0.0.3:80');
    requestHeaders.append(HEADER, '10.0.0.2:80');
    const context = pickContext({ info: requestInfo(), requestHeaders });
    const over = balancer();
    expect([over.choose(context), over.choose(context)]).toEqual([h3, h1]);
  });
});

it('needs the request to see what it names', () => {
  const requestHeaders = new RequestHeaders();
  requestHeaders.set(HEADER, '10.0.0.3:80');
  expect(balancer().choose(pickContext({ requestHeaders }))).toBe(h1);
  expect(balancer().choose(undefined)).toBe(h1);
});

it('knows hosts that have come, and forgets those that have gone', () => {
  const over = balancer();
  const fresh = testHost('10.0.0.9:80');
  over.update([hostSetOf([h1, fresh], { healthyHosts: [h1], healthyHostsByLocality: [[h1]] })]);
  expect(tries(over, 2, { header: '10.0.0.3:80,10.0.0.9:80' })).toEqual([fresh, h1]);
});

it.each<[string[], Record<string, MetadataValue>]>([
  [['served'], { keep: 1, served: '10.0.0.3:80' }],
  [['a', 'b'], { keep: 1, a: { b: '10.0.0.3:80' } }],
  [['keep'], { keep: '10.0.0.3:80' }],
])('tells which host was chosen under %j', (path, expected) => {
  const over = balancer({ selected_host_key: { key: 'envoy.lb', path: path.map((key) => ({ key })) } });
  const info = requestInfo();
  info.dynamicMetadata.set('envoy.lb', { keep: 1 });
  const requestHeaders = new RequestHeaders();
  requestHeaders.set(HEADER, '10.0.0.3:80');
  const context = pickContext({ info, requestHeaders });
  over.choose(context);
  expect(info.dynamicMetadata.get('envoy.lb')).toEqual(expected);
  over.choose(context);
  expect(JSON.stringify(info.dynamicMetadata.get('envoy.lb'))).toContain('10.0.0.1:80');
});

it('tells nothing when there is no host, or no request', () => {
  const over = balancer({ selected_host_key: { key: 'x', path: [{ key: 'y' }] } });
  over.choose(undefined);
  over.update([hostSetOf([])]);
  const info = requestInfo();
  expect(over.choose(pickContext({ info }))).toBeUndefined();
  expect(info.hasDynamicMetadata).toBe(false);
});

it('takes any header: each known address in turn, then the fallback', () => {
  const part = fc.oneof(fc.string(), fc.constantFrom(...hosts.map((host) => host.address.text)));
  fc.assert(
    fc.property(fc.array(part, { maxLength: 6 }), (parts) => {
      const header = parts.join().replaceAll(/[\r\n\0]/g, '');
      const named = header.split(',').map((text) => hosts.find((host) => host.address.text === text.trim()));
      const expected = [...named.filter((host) => host !== undefined), h1];
      expect(tries(balancer(), expected.length, { header })).toEqual(expected);
    }),
    { numRuns: 200 },
  );
});

it('closes the fallback, and names its place when it cannot be made', () => {
  let closed = 0;
  const policy = { createPicker: () => ({ pick: () => h1 }), close: () => void closed++ };
  overrideHost
    .create(typed({}), loadBalancerContext({ policy: () => policy }))
    .createBalancer(simpleBalancer)
    .close?.();
  expect(closed).toBe(1);
  const failing = (_: unknown, path: string): never => {
    throw ConfigError.at(path, 'is unknown');
  };
  expect(() => overrideHost.create(typed({}), loadBalancerContext({ policy: failing }))).toThrow(
    'fallback_policy: is unknown',
  );
});

it('tells whose turn it will be where its fallback does', () => {
  const over = overrideHost.create(typed({}), loadBalancerContext());
  const telling = over.createBalancer((policy) => ({ ...simpleBalancer(policy), peek: () => h2 }));
  expect(telling.peek?.()).toBe(h2);
  expect(over.createBalancer(simpleBalancer).peek).toBeUndefined();
});
