import {
  type CertificateValidationContext,
  ConfigSourceSchema,
  type GenericSecret,
  type PathConfigSource,
  PathConfigSourceSchema,
  type SdsSecretConfig,
  type Secret,
  type TlsCertificate,
  type TlsSessionTicketKeys,
} from '@dragoman/api';
import { atPath, ConfigError, type FactoryContext, refuseUnsupported } from '@dragoman/core';
import { Delivery } from './delivery.ts';
import { SecretNotReady, SecretRefused } from './not-ready.ts';
import { secretInFile } from './secret-file.ts';
import type { SourceReader } from './source-reader.ts';

type ConfigSource = NonNullable<SdsSecretConfig['sdsConfig']>;

/** What a secret may be. */
export interface SecretTypes {
  readonly tlsCertificate: TlsCertificate;
  readonly validationContext: CertificateValidationContext;
  readonly sessionTicketKeys: TlsSessionTicketKeys;
  readonly genericSecret: GenericSecret;
}

export type SecretKind = keyof SecretTypes;

const FIELDS: Readonly<Record<SecretKind, string>> = {
  tlsCertificate: 'tls_certificate',
  validationContext: 'validation_context',
  sessionTicketKeys: 'session_ticket_keys',
  genericSecret: 'generic_secret',
};

/** The field of a `Secret` that holds a kind. */
export const secretField = (kind: SecretKind): string => FIELDS[kind];

/** Where a certificate, or whatever else is secret, comes from. */
export interface SecretRef<K extends SecretKind = SecretKind> {
  readonly kind: K;
  /** For the names of stats. */
  readonly name: string;
  /** Where it stands in the config that it is read for. */
  readonly path: string;
  /** `file`: one of its own, as a control plane would send it; `dynamic`: a control plane's. */
  readonly origin: 'inline' | 'static' | 'file' | 'dynamic';
  /** Of a dynamic one. */
  readonly delivery: Delivery | undefined;
  /** @throws SecretNotReady, ConfigError with a path below {@link path} */
  get(reader: SourceReader): SecretTypes[K];
}

/**
 * Reads a secret, and what it names.
 * @throws ConfigError with the path of the secret before its own; SecretNotReady for what is not there, and for whatever is wrong with what a
 * file or a control plane delivers; SecretRefused when that is the version which the reader tries
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
    return atPath('', () => read(value));
  } catch (error) {
    const problem = error as ConfigError;
    if (ref.delivery !== undefined && reader.tries(ref.delivery))
      throw new SecretRefused(problem.within(FIELDS[ref.kind]));
    const text = `secret "${ref.name}": ${oneLine(problem)}`;
    throw ref.origin === 'static' ? ConfigError.at(ref.path, text) : new SecretNotReady(text, [ref.name]);
  }
}

/** All problems of an error in one line. */
export const oneLine = (error: Error): string => error.message.replaceAll('\n', '; ');

export function inlineSecret<K extends SecretKind>(
  kind: K,
  config: SecretTypes[K],
  name: string,
  path: string,
): SecretRef<K> {
  return { kind, name, path, origin: 'inline', delivery: undefined, get: () => config };
}

/**
 * A secret by its name: one of `static_resources.secrets`, one of a file, or one that a control plane gives.
 * @param path where `config` stands; see {@link SecretRef.path}
 * @throws ConfigError with paths below the SdsSecretConfig
 */
export function namedSecret<K extends SecretKind>(
  config: SdsSecretConfig,
  kind: K,
  path: string,
  context: Pick<FactoryContext, 'secrets'>,
): SecretRef<K> {
  const { name, sdsConfig } = config;
  if (sdsConfig === undefined) return staticSecret(name, kind, path, context);
  switch (sdsConfig.configSourceSpecifier.case) {
    case undefined:
      throw ConfigError.at('sds_config', 'says no source: give ads, api_config_source or path_config_source');
    case 'path':
    case 'pathConfigSource':
      return fileSecret(name, sdsConfig, kind, path);
    default:
      return dynamicSecret(name, sdsConfig, kind, path);
  }
}

function staticSecret<K extends SecretKind>(
  name: string,
  kind: K,
  path: string,
  { secrets }: Pick<FactoryContext, 'secrets'>,
): SecretRef<K> {
  const secret = secrets.find(name) as Secret | undefined;
  if (secret === undefined) {
    const { names } = secrets;
    const known = names.length === 0 ? 'there are none' : `there are ${names.join(', ')}`;
    throw ConfigError.at('name', `Unknown static secret: ${name}; of static_resources.secrets ${known}`);
  }
  const value = contentOf(secret, kind);
  return { kind, name, path, origin: 'static', delivery: undefined, get: () => value };
}

/** @throws ConfigError at `name` when the secret is of another kind */
export function contentOf<K extends SecretKind>(secret: Secret, kind: K): SecretTypes[K] {
  const { case: found, value } = secret.type;
  if (found === kind) return value as SecretTypes[K];
  throw ConfigError.at('name', `the secret "${secret.name}" is no ${FIELDS[kind]}`);
}

function dynamicSecret<K extends SecretKind>(
  name: string,
  source: ConfigSource,
  kind: K,
  path: string,
): SecretRef<K> {
  const delivery = new Delivery(name, source);
  return {
    kind,
    name,
    path,
    origin: 'dynamic',
    delivery,
    get(reader) {
      const secret = reader.delivered(delivery);
      if (secret === undefined)
        throw new SecretNotReady(`secret "${name}" has not come from its config source`);
      return contentOf(secret, kind);
    },
  };
}

const SOURCE_FIELDS = new Set(['path', 'path_config_source', 'resource_api_version']);
const SOURCE_REASONS = {
  initial_fetch_timeout: 'has no meaning for a file, which is read at once; remove it',
};
const FILE_FIELDS = new Set(['path', 'watched_directory']);

function fileSecret<K extends SecretKind>(
  name: string,
  source: ConfigSource,
  kind: K,
  path: string,
): SecretRef<K> {
  refuseUnsupported(source, ConfigSourceSchema, SOURCE_FIELDS, 'sds_config', SOURCE_REASONS);
  const file = pathSource(source);
  if (file.source !== undefined)
    refuseUnsupported(file.source, PathConfigSourceSchema, FILE_FIELDS, 'sds_config.path_config_source');
  return {
    kind,
    name,
    path,
    origin: 'file',
    delivery: undefined,
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

interface PathSource {
  readonly path: string;
  readonly source: PathConfigSource | undefined;
}

function pathSource({ configSourceSpecifier: specifier }: ConfigSource): PathSource {
  if (specifier.case === 'pathConfigSource') return { path: specifier.value.path, source: specifier.value };
  return { path: specifier.case === 'path' ? specifier.value : '', source: undefined };
}
