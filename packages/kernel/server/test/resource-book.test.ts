import {
  anyPack,
  ConfigSourceSchema,
  create,
  HttpConnectionManagerSchema,
  type Listener,
  ListenerSchema,
  type Message,
  RouteConfigurationSchema,
  ScopedRouteConfigurationSchema,
  TypedExtensionConfigSchema,
  VirtualHostSchema,
} from '@dragoman/api';
import { ConfigError } from '@dragoman/core';
import { type FakeSubscription, FakeSubscriptions, MemoryStats, RecordingLoggers } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { ResourceBook } from '../src/dynamic/resource-book.ts';
import type { ResourceOrder } from '../src/dynamic/resource-order.ts';

const configSource = create(ConfigSourceSchema, { configSourceSpecifier: { case: 'ads', value: {} } });

/** A listener whose connection manager has its routes from somewhere else. */
function listener(routeSpecifier: object): Listener {
  const manager = create(HttpConnectionManagerSchema, {
    statPrefix: 'in',
    routeSpecifier: routeSpecifier as never,
  });
  const filter = {
    name: 'hcm',
    configType: { case: 'typedConfig' as const, value: anyPack(HttpConnectionManagerSchema, manager) },
  };
  return create(ListenerSchema, { name: 'l', filterChains: [{ filters: [filter] }] });
}

const rds = (routeConfigName: string) => listener({ case: 'rds', value: { routeConfigName, configSource } });
const routes = (name: string, vhds = false) =>
  create(RouteConfigurationSchema, { name, ...(vhds ? { vhds: { configSource } } : {}) });

function scene() {
  const subscriptions = new FakeSubscriptions();
  const log: string[] = [];
  const stats = new MemoryStats();
  const short = ({ key }: ResourceOrder) => key.replace(/^\S+\.(\w+) \S+ /, '$1 ');
  let refuse: string | undefined;
  let gate: Promise<void> | undefined;
  const book = new ResourceBook({
    subscriptions,
    threads: {
      async prepareResource(order) {
        log.push(`prepare ${short(order)}`);
        await gate;
        if (refuse !== undefined && order.key.endsWith(refuse)) throw ConfigError.at('domains', 'is wrong');
      },
      async checkResource() {},
      commitResource: (order) => void log.push(`commit ${short(order)}`),
      abortResource: (key) => void log.push(`abort ${short({ key, value: undefined })}`),
      forgetResource: (key) => void log.push(`forget ${short({ key, value: undefined })}`),
    },
    stats,
    logger: new RecordingLoggers().logger('config'),
    wallTime: () => 1000,
  });
  const of = (type: string, index = 0): FakeSubscription =>
    subscriptions.active.filter(({ options }) => options.type.typeName.endsWith(type))[index] ??
    expect.unreachable(`nobody subscribes to ${type}`);
  const refuseAll = (name: string | undefined) => {
    refuse = name;
  };
  const hold = () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    gate = promise;
    return resolve;
  };
  return { subscriptions, log, stats, book, of, refuse: refuseAll, hold };
}

const resourcesOf = (book: ResourceBook) => book.held.flatMap(({ resources }) => resources);

const settled = async (promise: Promise<unknown>): Promise<boolean> => {
  let done = false;
  void promise.then(() => {
    done = true;
  });
  for (let i = 0; i < 20; i++) await Promise.resolve();
  return done;
};

describe('what a listener names', () => {
  it('is subscribed to once, and as long as somebody holds it', () => {
    const { book, subscriptions, of, log } = scene();
    const first = book.hold(rds('r'), ListenerSchema);
    const second = book.hold(rds('r'), ListenerSchema);
    expect(subscriptions.all).toHaveLength(1);
    expect(of('RouteConfiguration').names).toEqual(['r']);
    first.release();
    first.release();
    expect(subscriptions.active).toHaveLength(1);
    second.release();
    expect(subscriptions.active).toHaveLength(0);
    expect(log).toEqual(['forget RouteConfiguration r']);
  });

  it('is waited for until it is everywhere', async () => {
    const { book, of, log, stats } = scene();
    const hold = book.hold(rds('r'), ListenerSchema);
    expect([hold.waits, await settled(hold.ready)]).toEqual([true, false]);
    await of('RouteConfiguration').resources({ r: routes('r') });
    expect(await settled(hold.ready)).toBe(true);
    expect(log).toEqual(['prepare RouteConfiguration r', 'commit RouteConfiguration r']);
    expect(stats.value('http.in.rds.r.config_reload')).toBe(1);
    expect(book.hold(rds('r'), ListenerSchema).waits).toBe(false);
    expect(resourcesOf(book)).toMatchObject([
      { name: 'r', version: '1', updatedAt: 1000, failure: undefined },
    ]);
  });

  it.each([
    ['connection', false],
    ['timeout', true],
    ['rejected', true],
  ] as const)('is not waited for any more after a failure of the kind %s: %s', async (reason, over) => {
    const { book, of } = scene();
    const hold = book.hold(rds('r'), ListenerSchema);
    of('RouteConfiguration').fail(reason);
    expect(await settled(hold.ready)).toBe(over);
  });

  it('stays as it was when a version is refused, which says why', async () => {
    const { book, of, log, refuse } = scene();
    const hold = book.hold(rds('r'), ListenerSchema);
    await of('RouteConfiguration').resources({ r: routes('r') });
    refuse('r');
    await expect(of('RouteConfiguration').resources({ r: routes('r') })).rejects.toThrow(
      /^r: domains: is wrong/,
    );
    expect(await settled(hold.ready)).toBe(true);
    expect(log.slice(2)).toEqual(['prepare RouteConfiguration r', 'abort RouteConfiguration r']);
    expect(resourcesOf(book)[0]).toMatchObject({
      failure: { details: 'domains: is wrong', version: '1', at: 1000 },
    });
    refuse(undefined);
    await of('RouteConfiguration').resources({ r: routes('r') });
    expect(resourcesOf(book)[0]?.failure).toBeUndefined();
  });

  it('may name more, which comes first', async () => {
    const { book, of, log, stats, subscriptions } = scene();
    const hold = book.hold(rds('r'), ListenerSchema);
    const updated = of('RouteConfiguration').resources({ r: routes('r', true) });
    expect(await settled(updated)).toBe(false);
    expect(of('VirtualHost').options).toMatchObject({ names: ['r'], namespaced: true });
    await of('VirtualHost').resources({ 'r/a': create(VirtualHostSchema, { name: 'a' }) });
    await updated;
    expect(stats.value('http.in.vhds.r.config_reload')).toBe(1);
    expect(log).toEqual([
      'prepare VirtualHost all r/*',
      'commit VirtualHost all r/*',
      'prepare RouteConfiguration r',
      'commit RouteConfiguration r',
    ]);
    await of('RouteConfiguration').resources({ r: routes('r') });
    expect(subscriptions.active).toHaveLength(1);
    hold.release();
    expect(subscriptions.active).toHaveLength(0);
  });

  it('that is let go of on its way takes nothing from who holds it anew', async () => {
    const { book, of, log, hold } = scene();
    const open = hold();
    const first = book.hold(rds('r'), ListenerSchema);
    const late = of('RouteConfiguration').resources({ r: routes('r') });
    expect(await settled(late)).toBe(false);
    first.release();
    const second = book.hold(rds('r'), ListenerSchema);
    const anew = of('RouteConfiguration').resources({ r: routes('r') });
    expect(await settled(anew)).toBe(false);
    open();
    await Promise.all([late, anew, second.ready]);
    expect(log).toEqual([
      'prepare RouteConfiguration r',
      'forget RouteConfiguration r',
      'abort RouteConfiguration r',
      'prepare RouteConfiguration r',
      'commit RouteConfiguration r',
    ]);
  });

  it('that is let go of while it waits for more lets go of that, too', async () => {
    const { book, of, subscriptions } = scene();
    const hold = book.hold(rds('r'), ListenerSchema);
    const updated = of('RouteConfiguration').resources({ r: routes('r', true) });
    expect(subscriptions.active).toHaveLength(2);
    hold.release();
    expect(subscriptions.active).toHaveLength(0);
    await updated;
  });

  it('may be a collection whose members name more', async () => {
    const { book, of, subscriptions } = scene();
    const scoped = {
      name: 's',
      rdsConfigSource: configSource,
      configSpecifier: { case: 'scopedRds', value: { scopedRdsConfigSource: configSource } },
    };
    book.hold(listener({ case: 'scopedRoutes', value: scoped }), ListenerSchema);
    const scope = (routeConfigurationName: string): Message =>
      create(ScopedRouteConfigurationSchema, { name: 'x', routeConfigurationName });
    const scopes = of('ScopedRouteConfiguration');
    expect(scopes.names).toBeUndefined();
    const first = scopes.resources({ x: scope('one') });
    await of('.RouteConfiguration').resources({ one: routes('one') });
    await first;
    const second = scopes.resources({ x: scope('two') });
    await of('.RouteConfiguration', 1).resources({ two: routes('two') });
    await second;
    expect(subscriptions.active.map(({ names }) => names)).toEqual([undefined, ['two']]);
    await scopes.update({ removed: ['x'] });
    expect(subscriptions.active).toHaveLength(1);
  });

  it('is not waited for by what comes over the same stream, nor by itself', async () => {
    const { book, of, log, subscriptions } = scene();
    const discovered = (name: string) => ({
      name,
      configType: { case: 'configDiscovery' as const, value: { configSource } },
    });
    const manager = (...filters: string[]) =>
      create(TypedExtensionConfigSchema, {
        name: 'manager',
        typedConfig: anyPack(
          HttpConnectionManagerSchema,
          create(HttpConnectionManagerSchema, { httpFilters: filters.map(discovered) }),
        ),
      });
    const filterChains = [{ filters: [discovered('manager')] }];
    const hold = book.hold(create(ListenerSchema, { name: 'l', filterChains }), ListenerSchema);
    const updated = of('TypedExtensionConfig').resources({ manager: manager('manager', 'other') });
    expect(await settled(updated)).toBe(true);
    expect(await settled(hold.ready)).toBe(true);
    expect(subscriptions.active.map(({ names }) => names)).toEqual([['manager'], ['other']]);
    expect(log.at(-1)).toBe('commit TypedExtensionConfig manager');
    hold.release();
  });

  it('is nothing where there is nothing of the kind', () => {
    const { book, subscriptions } = scene();
    expect(book.hold(listener({ case: 'routeConfig', value: { name: 'r' } }), ListenerSchema).waits).toBe(
      false,
    );
    expect(subscriptions.all).toHaveLength(0);
  });
});

describe('a demand', () => {
  const virtualHost = (name: string) => ({ type: VirtualHostSchema, source: configSource, name });

  it('of a collection’s is asked for by name, and answered when it is in place or is not there', async () => {
    const { book, of } = scene();
    book.hold(routes('r', true), RouteConfigurationSchema);
    const found = book.demand(virtualHost('r/a'));
    const missing = book.demand(virtualHost('r/b'));
    await Promise.resolve();
    const hosts = of('VirtualHost');
    expect(hosts.names).toEqual(['r', 'r/a', 'r/b']);
    await hosts.update({
      changed: [
        { name: 'r/real', version: '1', message: create(VirtualHostSchema), aliases: ['r/a'] },
      ] as never,
      removed: ['r/b'],
    });
    expect(await Promise.all([found, missing])).toEqual([true, false]);
    expect(await book.demand(virtualHost('r/a'))).toBe(true);
    expect(await book.demand(virtualHost('r/b'))).toBe(false);
  });

  it('that is refused is answered', async () => {
    const { book, of, refuse } = scene();
    book.hold(routes('r', true), RouteConfigurationSchema);
    const wanted = book.demand(virtualHost('r/a'));
    await Promise.resolve();
    refuse('r/*');
    await expect(of('VirtualHost').resources({ 'r/a': create(VirtualHostSchema) })).rejects.toThrow(
      'is wrong',
    );
    expect(await wanted).toBe(false);
  });

  it('of what the server does not have makes room for others', async () => {
    const { book, of } = scene();
    book.hold(routes('r', true), RouteConfigurationSchema);
    const names = Array.from({ length: 10_000 }, (_, i) => `r/${i}`);
    const wanted = names.map((name) => book.demand(virtualHost(name)));
    await Promise.resolve();
    expect(await book.demand(virtualHost('r/more'))).toBe(false);
    await of('VirtualHost').update({ removed: names });
    expect((await Promise.all(wanted)).includes(true)).toBe(false);
    const more = book.demand(virtualHost('r/more'));
    await of('VirtualHost').resources({ 'r/more': create(VirtualHostSchema) });
    expect(await more).toBe(true);
    expect(of('VirtualHost').names).toEqual(['r', 'r/more']);
  });

  it('of something by itself is subscribed to and kept', async () => {
    const { book, of, subscriptions } = scene();
    const reference = { type: RouteConfigurationSchema, source: configSource, name: 'r' };
    const wanted = [book.demand(reference), book.demand(reference)];
    await Promise.resolve();
    await of('RouteConfiguration').resources({ r: routes('r') });
    expect(await Promise.all(wanted)).toEqual([true, true]);
    expect(subscriptions.all).toHaveLength(1);
  });
});

it('ends every subscription, and whoever waits, when it is closed', async () => {
  const { book, subscriptions } = scene();
  const hold = book.hold(rds('r'), ListenerSchema);
  book.hold(routes('v', true), RouteConfigurationSchema);
  const wanted = book.demand({ type: VirtualHostSchema, source: configSource, name: 'v/a' });
  await Promise.resolve();
  book.close();
  expect(subscriptions.active).toHaveLength(0);
  expect(await settled(hold.ready)).toBe(true);
  expect(await wanted).toBe(false);
});
