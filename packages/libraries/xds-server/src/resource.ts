import { hash } from 'node:crypto';
import {
  type Any,
  AnySchema,
  create,
  type DescMessage,
  type JsonObject,
  type Message,
  messageType,
  nameOfResource,
  readLoose,
  toBinary,
  typeUrl,
  unpackAny,
  type VirtualHost,
  VirtualHostSchema,
} from '@dragoman/api';
import { ConfigError } from '@dragoman/core';
import { KINDS } from './kinds.ts';

export interface ResourceOptions {
  /** The name that clients subscribe to. Default: the message's own (`name`, or `cluster_name` of load assignments). */
  readonly name?: string;
  /** More names under which it is found; clients of the delta protocol are told of them. */
  readonly aliases?: readonly string[];
  /**
   * Milliseconds after which a client drops the resource unless it hears of it again; the server sends heartbeats in
   * time. Only for clients that say they can (`xds.config.supports-resource-ttl`). Range: above 0. Default: for ever.
   */
  readonly ttlMs?: number;
  /** Default: a hash of the content. */
  readonly version?: string;
}

/** What resources are made from: a typed message, proto3 JSON by the loader's rules, or one that is made already. */
export type ResourceInput = XdsResource | Message | JsonObject;

/** A resource as caches keep it: serialised once, whoever asks for it. */
export class XdsResource {
  readonly name: string;
  readonly typeUrl: string;
  readonly version: string;
  readonly aliases: readonly string[];
  /** Names under which subscriptions find it, its own first. */
  readonly keys: readonly string[];
  readonly ttlMs: number | undefined;
  readonly any: Any;

  constructor(
    fields: Required<Omit<ResourceOptions, 'ttlMs' | 'version'>> &
      Pick<ResourceOptions, 'ttlMs' | 'version'> & { any: Any },
  ) {
    const { name, aliases, ttlMs, any } = fields;
    this.name = name;
    this.aliases = aliases;
    this.ttlMs = ttlMs;
    this.any = any;
    this.typeUrl = any.typeUrl;
    this.keys = keysOf(name, aliases, any.typeUrl);
    this.version = fields.version ?? versionOf(any.value, aliases, ttlMs);
  }

  /** The message: treat it as frozen. Undefined for a type that the API does not have. */
  get message(): Message | undefined {
    return unpackAny(this.any);
  }
}

/**
 * A resource of a typed message.
 * @throws ConfigError when there is no name, or an option is out of range
 */
export function resource(message: Message, options: ResourceOptions = {}): XdsResource {
  const schema = messageType(message.$typeName);
  if (schema === undefined) throw ConfigError.at('', `${message.$typeName} is not a type of the API`);
  const any = create(AnySchema, { typeUrl: typeUrl(schema), value: toBinary(schema, message) });
  return resourceOfAny(any, { ...options, name: options.name ?? nameOfResource(message) });
}

/** A resource of any type, as bytes. */
export function resourceOfAny(any: Any, options: ResourceOptions & { readonly name: string }): XdsResource {
  const { name, aliases = [], ttlMs, version } = options;
  if (name === '') throw ConfigError.at('name', `a resource of type ${any.typeUrl} has no name`);
  if (name === '*')
    throw ConfigError.at('name', '"*" is what clients call all resources, none can have that name');
  if (ttlMs !== undefined && !(ttlMs > 0 && ttlMs < MAX_TTL_MS))
    throw ConfigError.at('ttlMs', `must be above 0 and below ${MAX_TTL_MS}, is ${ttlMs}`);
  return new XdsResource({ name, aliases, ttlMs, version, any });
}

/** Timers of Node end there. */
const MAX_TTL_MS = 2 ** 31;

/**
 * A virtual host for VHDS: named `<route configuration>/<virtual host>`, with an alias for each of its domains, and found
 * by the name of its route configuration too, to which Envoy subscribes first.
 */
export function virtualHost(routeConfigName: string, host: VirtualHost | JsonObject): XdsResource {
  const message = isMessageLike(host) ? (host as VirtualHost) : readLoose(VirtualHostSchema, host);
  const aliases = message.domains.map((domain) => `${routeConfigName}/${domain}`);
  return resource(message, { name: `${routeConfigName}/${message.name}`, aliases });
}

/** Makes a resource of whatever is given. @throws ConfigError */
export function toResource(input: ResourceInput, schema?: DescMessage): XdsResource {
  if (input instanceof XdsResource) return ofType(input, schema);
  if (isMessageLike(input)) return ofType(resource(input as Message), schema);
  const { '@type': type, ...rest } = input as JsonObject;
  const named = typeof type === 'string' ? messageType(type) : schema;
  if (named === undefined)
    throw ConfigError.at('@type', type === undefined ? 'is required' : `unknown type ${type}`);
  return ofType(resource(readLoose(named, rest)), schema);
}

function ofType(made: XdsResource, schema: DescMessage | undefined): XdsResource {
  if (schema === undefined || made.typeUrl === typeUrl(schema)) return made;
  throw ConfigError.at('', `${made.name} is a ${made.typeUrl}, expected ${schema.typeName}`);
}

function isMessageLike(value: object): boolean {
  return typeof (value as { $typeName?: unknown }).$typeName === 'string';
}

function keysOf(name: string, aliases: readonly string[], url: string): readonly string[] {
  const slash = url === KINDS.virtualHosts.typeUrl ? name.lastIndexOf('/') : -1;
  if (slash === -1) return aliases.length === 0 ? [name] : [...new Set([name, ...aliases])];
  return [...new Set([name, ...aliases, name.slice(0, slash)])];
}

/** Equal content has equal versions, in every process: a client that reconnects is not sent what it has. */
function versionOf(bytes: Uint8Array, aliases: readonly string[], ttlMs: number | undefined): string {
  const content = hash('sha256', bytes, 'hex');
  const rest = aliases.length === 0 && ttlMs === undefined ? '' : JSON.stringify([content, aliases, ttlMs]);
  return (rest === '' ? content : hash('sha256', rest, 'hex')).slice(0, VERSION_DIGITS);
}

const VERSION_DIGITS = 20;
