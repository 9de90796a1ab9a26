import { anyPack, create, type Message, SecretSchema, SecretsConfigDumpSchema } from '@dragoman/api';
import type { KnownResource } from '../dynamic/resource-book.ts';
import { type DumpedParts, entryState, packed, timestamp } from './parts.ts';
import { ofType } from './routes.ts';

/** Envoy's word for a secret that has not come. */
const UNINITIALIZED = 'uninitialized';

/** What is secret in them is cut out by the admin interface. */
export function dumpSecrets({ bootstrap, loadedAt, held, server }: DumpedParts): Message {
  const dynamic = ofType(held, SecretSchema.typeName).flatMap((one) =>
    one.resources.map((secret) => ({ secret, settled: one.settled })),
  );
  const entry = ({ secret, settled }: { readonly secret: KnownResource; readonly settled: boolean }) => {
    const { name, message, version, updatedAt } = secret;
    const failure = server.refusal(SecretSchema, name, secret.failure);
    return {
      name,
      versionInfo: message === undefined ? UNINITIALIZED : version,
      secret: packed(message ?? create(SecretSchema, { name })),
      ...entryState(updatedAt, message !== undefined, failure, settled),
    };
  };
  const isActive = ({ secret }: { readonly secret: KnownResource }) => secret.message !== undefined;
  return create(SecretsConfigDumpSchema, {
    staticSecrets: (bootstrap.staticResources?.secrets ?? []).map((secret) => ({
      name: secret.name,
      lastUpdated: timestamp(loadedAt),
      secret: anyPack(SecretSchema, secret),
    })),
    dynamicActiveSecrets: dynamic.filter(isActive).map(entry),
    dynamicWarmingSecrets: dynamic.filter((one) => !isActive(one)).map(entry),
  });
}
