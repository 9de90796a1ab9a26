import {
  type CertificateValidationContext,
  ConfigSourceSchema,
  type PathConfigSource,
  PathConfigSourceSchema,
  type SdsSecretConfig,
  type Secret,
  type TlsCertificate,
} from '@dragoman/api';
import { atPath, ConfigError, type FactoryContext, refuseUnsupported } from '@dragoman/core';
import { secretInFile } from './sds-file.ts';
import type { SourceReader } from './source-reader.ts';

type ConfigSource = NonNullable<SdsSecretConfig['sdsConfig']>;

/** What a secret is to be. */
export type SecretKind = 'tlsCertificate' | 'validationContext';

interface SecretTypes {
  readonly tlsCertificate: TlsCertificate;
  readonly validationContext: CertificateValidationContext;
}

/** The file of a secret cannot be used now; that is no mistake of the config, and another one may come. */
export class SecretNotReady extends Error {}

/** Where a certificate or a validation context comes from. */
export interface SecretRef<K extends SecretKind> {
  /** For the names of stats. */
  readonly name: string;
  /** Where it stands in the config. */
  readonly path: string;
  /** `file`: one of its own, as a control plane would send it. */
  readonly origin: 'inline' | 'static' | 'file';
  /** @throws SecretNotReady, ConfigError with a path below {@link path} */
  get(reader: SourceReader): SecretTypes[K];
}

/**
 * Reads a secret, and what it names.
 * @throws ConfigError with paths below the CommonTlsContext; SecretNotReady for whatever is wrong with what a file delivers
 */
export function useSecret<K extends SecretKind, T>(
  ref: SecretRef<K>,
  reader: SourceReader,
  read: (value: SecretTypes[K]) => T,
): T {
  let value: SecretTypes[K];
  try {
    value = ref.get(reader);
  } catch (error) {
    throw error instanceof ConfigError ? error.within(ref.path) : error;
  }
  if (ref.origin === 'inline') return atPath(ref.path, () => read(value));
  try {
    return read(value);
  } catch (error) {
    const text = `secret "${ref.name}": ${(error as Error).message.replaceAll('\n', '; ')}`;
    throw ref.origin === 'file' ? new SecretNotReady(text) : ConfigError.at(ref.path, text);
  }
}

export function inlineSecret<K extends SecretKind>(
  config: SecretTypes[K],
  name: string,
  path: string,
): SecretRef<K> {
  return { name, path, origin: 'inline', get: () => config };
}

const SOURCE_FIELDS = new Set(['path', 'path_config_source', 'resource_api_version']);
const DYNAMIC =
  'comes with dynamic configuration: give the secret a file (path_config_source) or a place in static_resources.secrets';
const SOURCE_REASONS = {
  api_config_source: DYNAMIC,
  ads: DYNAMIC,
  self: DYNAMIC,
  initial_fetch_timeout: 'has no meaning for a file, which is read at once; remove it',
};
const FILE_FIELDS = new Set(['path', 'watched_directory']);

/**
 * A secret by its name: one of `static_resources.secrets`, or one of a file.
 * @throws ConfigError with paths below the SdsSecretConfig
 */
export function namedSecret<K extends SecretKind>(
  config: SdsSecretConfig,
  kind: K,
  path: string,
  context: Pick<FactoryContext, 'secrets'>,
): SecretRef<K> {
  const { name, sdsConfig } = config;
  if (sdsConfig !== undefined) return fileSecret(name, sdsConfig, kind, path);
  const secret = context.secrets.find(name) as Secret | undefined;
  if (secret === undefined) {
    const { names } = context.secrets;
    const known = names.length === 0 ? 'there are none' : `there are ${names.join(', ')}`;
    throw ConfigError.at('name', `Unknown static secret: ${name}; of static_resources.secrets ${known}`);
  }
  const value = contentOf(secret, kind);
  return { name, path, origin: 'static', get: () => value };
}

const FIELD: Readonly<Record<SecretKind, string>> = {
  tlsCertificate: 'tls_certificate',
  validationContext: 'validation_context',
};

function contentOf<K extends SecretKind>(secret: Secret, kind: K): SecretTypes[K] {
  const { case: found, value } = secret.type;
  if (found === kind) return value as SecretTypes[K];
  throw ConfigError.at('name', `the secret "${secret.name}" is no ${FIELD[kind]}`);
}

function fileSecret<K extends SecretKind>(
  name: string,
  source: ConfigSource,
  kind: K,
  path: string,
): SecretRef<K> {
  refuseUnsupported(source, ConfigSourceSchema, SOURCE_FIELDS, 'sds_config', SOURCE_REASONS);
  const file = filePath(source);
  if (file === undefined) throw ConfigError.at('sds_config', 'needs path_config_source');
  if (file.source !== undefined)
    refuseUnsupported(file.source, PathConfigSourceSchema, FILE_FIELDS, 'sds_config.path_config_source');
  return {
    name,
    path,
    origin: 'file',
    get(reader) {
      reader.watch(file.source?.watchedDirectory);
      let bytes: Buffer;
      try {
        bytes = reader.readFile(file.path);
      } catch (error) {
        throw ConfigError.at(
          'sds_config',
          `the file "${file.path}" of the secret "${name}" cannot be read: ${(error as Error).message}`,
        );
      }
      try {
        return contentOf(secretInFile(bytes, file.path, name), kind);
      } catch (error) {
        throw new SecretNotReady(`secret "${name}" of "${file.path}": ${(error as Error).message}`);
      }
    },
  };
}

function filePath({
  configSourceSpecifier: specifier,
}: ConfigSource): { readonly path: string; readonly source: PathConfigSource | undefined } | undefined {
  switch (specifier.case) {
    case 'path':
      return { path: specifier.value, source: undefined };
    case 'pathConfigSource':
      return { path: specifier.value.path, source: specifier.value };
    default:
      return undefined;
  }
}
