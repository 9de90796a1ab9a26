import type { EndpointData, HostListUpdate, LocalityEndpoints } from '@dragoman/core';
import fc from 'fast-check';

/** What metadata may hold, with what JSON cannot say and what it can say only with care. */
const value = fc.oneof(
  fc.constantFrom(
    null,
    true,
    0,
    -0,
    1.5,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    '',
    'é',
    '日本',
    '\ud800',
    '"\\\n',
  ),
  fc.jsonValue({ maxDepth: 2 }),
) as fc.Arbitrary<string>;

const metadata = fc.dictionary(
  fc.constantFrom('envoy.lb', 'istio', '__proto__', '0'),
  fc.dictionary(fc.constantFrom('canary', 'a b', '__proto__'), value, { maxKeys: 2 }),
  { maxKeys: 2, noNullPrototype: true },
);

/** Few identities, so that lists repeat them. The type makes sure that no field is forgotten. */
const fields: { [field in keyof EndpointData]-?: fc.Arbitrary<Required<EndpointData>[field]> } = {
  address: fc.constantFrom(
    '10.0.0.1:80',
    '10.0.0.2:80',
    '10.0.0.3:80',
    '[::1]:80',
    '/run/x.sock',
    'no address',
  ),
  id: fc.constantFrom('', 'web:80', 'é', '10.0.0.1:80', '10.0.0.1:80 2'),
  hostname: fc.constantFrom('', 'web', '日本', '\ud800'),
  weight: fc.constantFrom(1, 2, 4_294_967_295),
  metadata,
  health: fc.constantFrom('healthy', 'unhealthy', 'degraded', 'draining', 'timeout'),
  healthCheckAddress: fc.constantFrom('10.0.0.9:81', '/run/health.sock'),
  healthCheckHostname: fc.constantFrom('', 'health'),
  noHealthCheck: fc.boolean(),
  checked: fc.constantFrom(0, 1, 3, 64),
  outcomeRow: fc.nat(9),
};

const FIELDS = Object.keys(fields) as (keyof EndpointData)[];

const endpoint: fc.Arbitrary<EndpointData> = fc.record(fields, {
  requiredKeys: ['address', 'hostname', 'weight'],
});

const group: fc.Arbitrary<LocalityEndpoints> = fc.record<Required<LocalityEndpoints>>({
  locality: fc.record({
    region: fc.constantFrom('', 'eu'),
    zone: fc.constantFrom('', 'a', 'b'),
    subZone: fc.constantFrom('', '"'),
  }),
  weight: fc.constantFrom(0, 1, 7),
  priority: fc.constantFrom(0, 1, 3, 127),
  endpoints: fc.array(endpoint, { maxLength: 8 }),
});

const list: fc.Arbitrary<HostListUpdate> = fc.record<
  Required<Omit<HostListUpdate, 'outcomes'>>,
  'localities'
>(
  {
    localities: fc.array(group, { maxLength: 4 }),
    overprovisioningFactor: fc.constantFrom(100, 140, 200),
    weightedPriorityHealth: fc.boolean(),
    dropOverload: fc.record({ category: fc.constantFrom('', 'lb'), ratio: fc.constantFrom(0, 0.5, 1) }),
  },
  { requiredKeys: ['localities'] },
);

type Edit = (list: HostListUpdate) => HostListUpdate;

/** Changes such as a control plane makes, the rest being the same objects. Numbers choose a group and a place in it. */
const edit: fc.Arbitrary<Edit> = fc
  .record({ at: fc.nat(9), to: fc.nat(9), where: fc.nat(9), endpoint, group, kind: fc.nat(9) })
  .map(({ at, to, where, endpoint, group, kind }): Edit => {
    const inGroup =
      (change: (endpoints: EndpointData[]) => void, number = at): Edit =>
      (list) => ({
        ...list,
        localities: list.localities.map((old, index) => {
          if (index !== number % list.localities.length) return old;
          const endpoints = [...old.endpoints];
          change(endpoints);
          return { ...old, endpoints };
        }),
      });
    const groups =
      (change: (groups: LocalityEndpoints[]) => void): Edit =>
      (list) => {
        const localities = [...list.localities];
        change(localities);
        return { ...list, localities };
      };
    const edits: Edit[] = [
      inGroup((endpoints) => endpoints.splice(where, 0, endpoint)),
      inGroup((endpoints) => endpoints.splice(where, 1)),
      inGroup((endpoints) => {
        const old = endpoints.at(where % Math.max(1, endpoints.length));
        const field = FIELDS[to % FIELDS.length];
        if (old !== undefined) endpoints[endpoints.indexOf(old)] = { ...old, [field]: endpoint[field] };
      }),
      inGroup((endpoints) => endpoints.reverse()),
      inGroup((endpoints) => endpoints.push(...endpoints.slice(where, where + 2))),
      groups((groups) => groups.splice(where, 0, group)),
      groups((groups) => groups.splice(to, 0, ...groups.splice(at, 1))),
      groups((groups) => {
        const old = groups.at(at % Math.max(1, groups.length));
        if (old !== undefined) groups[groups.indexOf(old)] = { ...group, endpoints: old.endpoints };
      }),
      // Moves one from a group to another.
      (list) => {
        const moved = list.localities[at % Math.max(1, list.localities.length)]?.endpoints[where];
        if (moved === undefined) return list;
        const without = inGroup((endpoints) => endpoints.splice(where, 1))(list);
        return inGroup((endpoints) => endpoints.push(moved), to)(without);
      },
      (list) => ({
        ...list,
        weightedPriorityHealth: at > 4,
        dropOverload: { category: 'lb', ratio: to / 10 },
      }),
    ];
    return edits[kind];
  });

/** A host list's history: unrelated lists, and small changes of the one before. */
export const histories: fc.Arbitrary<readonly HostListUpdate[]> = fc
  .tuple(
    list,
    fc.array(fc.oneof({ weight: 1, arbitrary: list }, { weight: 5, arbitrary: edit }), { maxLength: 8 }),
  )
  .map(([first, steps]) => {
    const lists = [first];
    for (const step of steps) lists.push(typeof step === 'function' ? step(lists[lists.length - 1]) : step);
    return lists;
  });
