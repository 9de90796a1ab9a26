import {
  AnySchema,
  anyUnpack,
  type Any,
  ClusterLoadAssignmentSchema,
  ClusterSchema,
  DeltaDiscoveryResponseSchema,
  type DescMessage,
  DiscoveryResponseSchema,
  isMessage,
  ListenerSchema,
  type LoadedConfig,
  loadConfig,
  type Message,
  nameOfResource,
  nearest,
  registry,
  type Resource,
  ResourceSchema,
  RouteConfigurationSchema,
  ScopedRouteConfigurationSchema,
  SecretSchema,
  ServiceRuntimeSchema,
  TypedExtensionConfigSchema,
  typeNameOf,
  VirtualHostSchema,
} from '@dragoman/api';
import { ConfigError } from '@dragoman/core';

/** A resource of a document that is checked. */
export interface ReadResource {
  readonly type: DescMessage;
  /** By which it is asked for. */
  readonly name: string;
  /** Undefined: it is gone, or only its time to live is new. */
  readonly message: Message;
  /** Where it stands in the document. */
  readonly path: string;
}

export interface ReadUpdate {
  readonly resources: readonly ReadResource[];
  readonly loaded: LoadedConfig<Message>;
}

export interface UpdateDocument {
  /** YAML or JSON. */
  readonly text: string;
  /** What errors call it. */
  readonly file: string | undefined;
  /** A short name, a full one or a URL; undefined: the document says it. */
  readonly type: string | undefined;
  /** By which the resource is asked for; default: its own name. */
  readonly name: string | undefined;
  /** Fields that the API does not have are warnings and not errors. */
  readonly allowUnknownFields: boolean;
}

/** What config sources give. */
const RESOURCES: readonly DescMessage[] = [
  ClusterSchema,
  ListenerSchema,
  RouteConfigurationSchema,
  ClusterLoadAssignmentSchema,
  SecretSchema,
  ScopedRouteConfigurationSchema,
  VirtualHostSchema,
  TypedExtensionConfigSchema,
  ServiceRuntimeSchema,
];
const RESPONSES: readonly DescMessage[] = [DiscoveryResponseSchema, DeltaDiscoveryResponseSchema];

/**
 * Reads a resource, or a response with several.
 * @throws ConfigError with the places in the document
 */
export function readUpdate(document: UpdateDocument): ReadUpdate {
  const { text, file, allowUnknownFields } = document;
  const isJson = text.trimStart().startsWith('{');
  const source = { text, format: isJson ? 'json' : 'yaml', ...(file === undefined ? {} : { file }) } as const;
  const schema = document.type === undefined ? typeWritten(text, isJson) : typeNamed(document.type);
  const loaded = loadConfig(source, { schema, allowUnknownStaticFields: allowUnknownFields });
  const message = schema === AnySchema ? unpacked(loaded.message as Any, '') : loaded.message;
  return { resources: resourcesOf(message, document.name), loaded };
}

/** The document says it: as an Any, or by being a response. @throws ConfigError */
function typeWritten(text: string, isJson: boolean): DescMessage {
  const hasKey = (key: string): boolean =>
    isJson
      ? new RegExp(`^\\s*\\{[^{}[\\]]*"${key}"\\s*:`).test(text)
      : new RegExp(`^["']?${key}["']?\\s*:`, 'm').test(text);
  if (hasKey('@type')) return AnySchema;
  if (hasKey('system_version_info') || hasKey('removed_resources')) return DeltaDiscoveryResponseSchema;
  if (hasKey('resources')) return DiscoveryResponseSchema;
  throw ConfigError.at(
    '',
    `what this is cannot be told: write "@type": type.googleapis.com/${ClusterSchema.typeName} (or the like) into it, or give the type: ${RESOURCES.map(shortName).join(', ')}, ${RESPONSES.map(shortName).join(', ')}`,
  );
}

/** @throws ConfigError */
function typeNamed(given: string): DescMessage {
  const all = [...RESOURCES, ...RESPONSES];
  const name = typeNameOf(given);
  const found = all.find((one) => one.typeName === name || shortName(one) === name);
  if (found !== undefined) return found;
  throw ConfigError.at(
    '',
    `type "${given}" is none that config sources give: ${all.map(shortName).join(', ')}`,
    nearest(name, all.map(shortName)),
  );
}

function shortName({ typeName }: DescMessage): string {
  return typeName.slice(typeName.lastIndexOf('.') + 1);
}

function unpacked(any: Any, path: string): Message {
  const message = anyUnpack(any, registry);
  if (message === undefined)
    throw ConfigError.at(path, `is of the type "${any.typeUrl}", which is not known`);
  return message;
}

/** @throws ConfigError */
function resourcesOf(message: Message, name: string | undefined): readonly ReadResource[] {
  if (isMessage(message, DiscoveryResponseSchema)) {
    const { resources } = message;
    return resources.flatMap((any, i) => {
      const path = `resources[${i}]`;
      const inner = unpacked(any, path);
      if (isMessage(inner, ResourceSchema)) return wrapped(inner, path);
      return [resource(inner, undefined, path)];
    });
  }
  if (isMessage(message, DeltaDiscoveryResponseSchema))
    return message.resources.flatMap((one, i) => wrapped(one, `resources[${i}]`));
  if (isMessage(message, ResourceSchema)) return wrapped(message, '');
  return [resource(message, name, '')];
}

function wrapped({ name, resource: any }: Resource, path: string): readonly ReadResource[] {
  const inside = path === '' ? 'resource' : `${path}.resource`;
  return any === undefined ? [] : [resource(unpacked(any, inside), name, inside)];
}

function resource(message: Message, name: string | undefined, path: string): ReadResource {
  const type = RESOURCES.find(({ typeName }) => typeName === message.$typeName);
  if (type === undefined)
    throw ConfigError.at(
      path,
      `a ${message.$typeName} is nothing that config sources give: ${RESOURCES.map(shortName).join(', ')}`,
    );
  return { type, name: name || nameOfResource(message), message, path };
}
