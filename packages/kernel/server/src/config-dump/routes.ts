import {
  anyPack,
  clone,
  create,
  type HttpConnectionManager,
  HttpConnectionManagerSchema,
  type Listener,
  type Message,
  type RouteConfiguration,
  RouteConfigurationSchema,
  RoutesConfigDumpSchema,
  type ScopedRouteConfiguration,
  ScopedRouteConfigurationSchema,
  ScopedRoutesConfigDumpSchema,
  unpackAnyAs,
  type VirtualHost,
  VirtualHostSchema,
} from '@dragoman/api';
import { HeldCollection } from '../dynamic/held-collection.ts';
import type { Held } from '../dynamic/resource-book.ts';
import { type DumpedParts, entryState, packed, type Refusal, timestamp } from './parts.ts';

/** Virtual hosts that were discovered stand in the routes that they belong to. */
export function dumpRoutes({ listeners, held, server }: DumpedParts): Message {
  const hosts = new Map<string, Held>();
  for (const one of held)
    if (one.reference.kind === 'collection' && one.reference.type.typeName === VirtualHostSchema.typeName)
      hosts.set(one.reference.label, one);
  const failureOf = (name: string, own: Refusal | undefined): Refusal | undefined =>
    server.refusal(RouteConfigurationSchema, name, own) ?? hosts.get(name)?.failure;
  return create(RoutesConfigDumpSchema, {
    staticRouteConfigs: listeners.listeners.flatMap(({ message, updatedAt }) =>
      routeConfigsOf(message).map((route) => ({
        routeConfig: anyPack(RouteConfigurationSchema, route),
        lastUpdated: timestamp(updatedAt),
      })),
    ),
    dynamicRouteConfigs: ofType(held, RouteConfigurationSchema.typeName).flatMap((one) =>
      one.resources.map(({ name, message, version, updatedAt, failure: own }) => {
        const failure = failureOf(name, own);
        return {
          versionInfo: version,
          routeConfig: packed(withHosts(message, name, hosts.get(name))),
          ...entryState(updatedAt, message !== undefined, failure, one.settled),
        };
      }),
    ),
  });
}

/** Of one that has not come the name alone is shown. */
function withHosts(message: Message | undefined, name: string, hosts: Held | undefined): RouteConfiguration {
  if (message === undefined) return create(RouteConfigurationSchema, { name });
  const routes = message as RouteConfiguration;
  if (hosts === undefined) return routes;
  const discovered = hosts.resources.flatMap(({ message: host }) =>
    host === undefined ? [] : [host as VirtualHost],
  );
  const whole = clone(RouteConfigurationSchema, routes);
  whole.virtualHosts.push(...discovered);
  return whole;
}

export function dumpScopes({ listeners, held }: DumpedParts): Message {
  return create(ScopedRoutesConfigDumpSchema, {
    inlineScopedRouteConfigs: listeners.listeners.flatMap(({ message, updatedAt }) =>
      scopedRoutesOf(message).map(({ name, scopes }) => ({
        name,
        scopedRouteConfigs: scopes.map((scope) => anyPack(ScopedRouteConfigurationSchema, scope)),
        lastUpdated: timestamp(updatedAt),
      })),
    ),
    dynamicScopedRouteConfigs: ofType(held, ScopedRouteConfigurationSchema.typeName).flatMap((one) => {
      if (!(one instanceof HeldCollection)) return [];
      const { reference, resources, settled, failure, version, updatedAt } = one;
      return [
        {
          name: reference.label,
          versionInfo: version,
          scopedRouteConfigs: resources.flatMap(({ message }) =>
            message === undefined ? [] : [packed(message)],
          ),
          ...entryState(updatedAt, updatedAt !== undefined, failure, settled),
        },
      ];
    }),
  });
}

/** Those of a type that are no members of a collection, and collections of it. */
export function ofType(held: readonly Held[], typeName: string): readonly Held[] {
  return held.filter(({ reference }) => reference.type.typeName === typeName);
}

function routeConfigsOf(listener: Listener): RouteConfiguration[] {
  return managersOf(listener).flatMap(({ routeSpecifier }) =>
    routeSpecifier.case === 'routeConfig' ? [routeSpecifier.value] : [],
  );
}

/** The inline scopes of each manager that has some. */
function scopedRoutesOf(listener: Listener): { name: string; scopes: ScopedRouteConfiguration[] }[] {
  return managersOf(listener).flatMap(({ routeSpecifier }) => {
    if (routeSpecifier.case !== 'scopedRoutes') return [];
    const { name, configSpecifier } = routeSpecifier.value;
    return configSpecifier.case === 'scopedRouteConfigurationsList'
      ? [{ name, scopes: configSpecifier.value.scopedRouteConfigurations }]
      : [];
  });
}

function managersOf(listener: Listener): HttpConnectionManager[] {
  const chains = [
    ...listener.filterChains,
    ...(listener.defaultFilterChain === undefined ? [] : [listener.defaultFilterChain]),
  ];
  return chains
    .flatMap((chain) => chain.filters)
    .flatMap((filter) => {
      const any = filter.configType.case === 'typedConfig' ? filter.configType.value : undefined;
      const manager = any === undefined ? undefined : unpackAnyAs(any, HttpConnectionManagerSchema);
      return manager === undefined ? [] : [manager];
    });
}
