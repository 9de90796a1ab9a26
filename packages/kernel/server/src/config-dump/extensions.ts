import { create, EcdsConfigDumpSchema, type Message, TypedExtensionConfigSchema } from '@dragoman/api';
import type { Held } from '../dynamic/resource-book.ts';
import { type DumpedParts, entryState, packed } from './parts.ts';
import { ofType } from './routes.ts';

/** A part for each kind of filter (HTTP, network, listener) that has configs which are discovered; none where nothing is. */
export function dumpExtensions(parts: DumpedParts): readonly Message[] {
  const kinds = new Map<string, Held[]>();
  for (const one of ofType(parts.held, TypedExtensionConfigSchema.typeName)) {
    // `extension_config_discovery.<kind>.<name>`
    const kind = one.reference.statPrefix.split('.', 2)[1] ?? '';
    kinds.set(kind, [...(kinds.get(kind) ?? []), one]);
  }
  return [...kinds]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, held]) => create(EcdsConfigDumpSchema, { ecdsFilters: held.flatMap(filtersOf(parts)) }));
}

const filtersOf =
  ({ server }: DumpedParts) =>
  (one: Held) =>
    one.resources.map(({ name, message, version, updatedAt, failure: own }) => {
      const failure = server.refusal(TypedExtensionConfigSchema, name, own);
      return {
        versionInfo: version,
        ecdsFilter: packed(message ?? create(TypedExtensionConfigSchema, { name })),
        ...entryState(updatedAt, message !== undefined, failure, one.settled),
      };
    });
