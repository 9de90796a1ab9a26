import type { SdsSecretConfig } from '@dragoman/api';
import { atPath, ConfigError, type FactoryContext } from '@dragoman/core';
import { Live } from './live.ts';
import { namedSecret, type SecretKind, type SecretTypes, useSecret } from './secret-refs.ts';
import type { SourceReader } from './source-reader.ts';

export interface SecretUse<K extends SecretKind, T> {
  /** For logs, e.g. `filter 'envoy.filters.http.credential_injector'`. */
  readonly owner: string;
  readonly kind: K;
  /**
   * Checks and compiles a version. Data sources are read through `reader`: the files among them are watched.
   * @throws ConfigError with paths below the message of that kind
   */
  read(value: SecretTypes[K], reader: SourceReader): T;
  /** Another version is in use, or the first one; not called before {@link watchSecret} returns. */
  onChange?(value: T): void;
}

export interface WatchedSecret<T> {
  /** Undefined while it has not come. */
  readonly current: T | undefined;
  /** No change comes any more; {@link current} stays. */
  close(): void;
}

export type SecretContext = Pick<
  FactoryContext,
  'clock' | 'dynamicResources' | 'loggers' | 'secrets' | 'stats'
>;

/**
 * A secret by its name, wherever it comes from: `static_resources.secrets`, a file, or a control plane. It is kept up to date until it is closed.
 * A version that `read` refuses leaves the one before in use, and a control plane is told why.
 *
 * @throws ConfigError with paths below the SdsSecretConfig: there is no such static secret, or it is no good. That a file or a control plane has not
 * given it yet is none.
 */
export function watchSecret<K extends SecretKind, T>(
  config: SdsSecretConfig,
  use: SecretUse<K, T>,
  context: SecretContext,
): WatchedSecret<T> {
  const ref = namedSecret(config, use.kind, '', context);
  const noun = `secret "${config.name}"`;
  let begun = false;
  const live = new Live<T>({
    owner: use.owner,
    what: noun,
    noun,
    context,
    logger: context.loggers.logger('secret'),
    secrets: [ref],
    build: (reader) => useSecret(ref, reader, (value) => use.read(value, reader)),
    onBuilt: (value) => {
      if (begun) use.onChange?.(value);
    },
  });
  begun = true;
  return live;
}

/**
 * The bytes of a `generic_secret`: a token, a password, a key.
 * @throws ConfigError as {@link watchSecret}
 */
export function watchGenericSecret(
  config: SdsSecretConfig,
  use: Pick<SecretUse<'genericSecret', Buffer>, 'owner' | 'onChange'>,
  context: SecretContext,
): WatchedSecret<Buffer> {
  return watchSecret(
    config,
    {
      ...use,
      kind: 'genericSecret',
      read({ secret }, reader) {
        if (secret === undefined) throw ConfigError.at('secret', 'is required');
        return atPath('secret', () => reader.read(secret));
      },
    },
    context,
  );
}
