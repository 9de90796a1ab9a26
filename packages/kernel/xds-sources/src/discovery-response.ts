import {
  type Any,
  anyTypeName,
  type ConfigSource as Document,
  type DescMessage,
  type DiscoveryResponse,
  DiscoveryResponseSchema,
  type LoadedConfig,
  loadConfig,
  type MessageShape,
  nameOfResource,
  unpackAnyAs,
} from '@dragoman/api';
import { ConfigError, type DiscoveredResource, formatProblem, ProblemCollector } from '@dragoman/core';
import { unwrapResource } from './resource.ts';
import type { UnknownFields } from './source-context.ts';

/** Bytes of a response, at most. */
export const MAX_RESPONSE_BYTES: number = 64 * 1024 * 1024;

/** A response that was read, and can say where in its text a resource stands. */
export interface ReadResponse<D extends DescMessage> {
  readonly version: string;
  readonly resources: readonly DiscoveredResource<D>[];
  /** What was let through, one text each; no two of them the same. */
  readonly warnings: readonly string[];
  /** That were let through. */
  readonly messagesWithUnknownFields: number;
  /** The same error, with the places of those of its problems whose path begins with the name of a resource. */
  locate(error: ConfigError): ConfigError;
}

/** What came is no DiscoveryResponse at all. */
export class UnreadableResponse extends Error {}

/**
 * Reads a `DiscoveryResponse` and the resources in it, which may be wrapped (`envoy.service.discovery.v3.Resource`).
 *
 * @throws UnreadableResponse when its text cannot be parsed, ConfigError when what it says is wrong; both with places
 */
export function readResponse<D extends DescMessage>(
  document: Document,
  type: D,
  unknownFields: UnknownFields,
): ReadResponse<D> {
  let loaded: LoadedConfig<DiscoveryResponse>;
  try {
    loaded = loadConfig(document, {
      schema: DiscoveryResponseSchema,
      allowUnknownStaticFields: unknownFields !== 'reject',
      maxBytes: MAX_RESPONSE_BYTES,
    });
  } catch (error) {
    // Syntax has no path.
    if (error instanceof ConfigError && error.problems.every(({ path }) => path === ''))
      throw new UnreadableResponse(error.message);
    throw error;
  }
  const places = new Map<string, string>();
  const locate = (error: ConfigError): ConfigError => locateIn(loaded, places, error);
  const problems = new ProblemCollector();
  const resources: DiscoveredResource<D>[] = [];
  for (const [i, any] of loaded.message.resources.entries()) {
    const path = `resources[${i}]`;
    const read = problems.try(path, () => readResource(any, type, loaded.message.versionInfo));
    if (read === undefined) continue;
    const { resource, within } = read;
    if (places.has(resource.name)) problems.add(path, `there are two resources named "${resource.name}"`);
    places.set(resource.name, path + within);
    resources.push(resource);
  }
  try {
    problems.throwIfAny();
  } catch (error) {
    throw locate(error as ConfigError);
  }
  return {
    version: loaded.message.versionInfo,
    resources,
    warnings: unknownFields === 'ignore' ? [] : [...new Set(loaded.warnings.map(formatProblem))],
    messagesWithUnknownFields: loaded.messagesWithUnknownFields,
    locate,
  };
}

function readResource<D extends DescMessage>(
  any: Any,
  type: D,
  version: string,
): { readonly resource: DiscoveredResource<D>; readonly within: string } {
  const { wrapped, name, aliases, version: own, ttlMs, body } = unwrapResource(any, version);
  if (ttlMs !== undefined)
    throw ConfigError.at('ttl', 'only resources that come over gRPC can run out; remove it');
  if (body === undefined) throw ConfigError.at('resource', 'is required');
  const message = unpack(body, type, wrapped ? 'resource' : '');
  return {
    resource: { name: name === '' ? nameOfResource(message) : name, version: own, message, aliases },
    within: wrapped ? '.resource' : '',
  };
}

function unpack<D extends DescMessage>(any: Any, type: D, path: string): MessageShape<D> {
  const message = unpackAnyAs(any, type);
  if (message !== undefined) return message;
  const found = anyTypeName(any);
  throw ConfigError.at(
    path,
    `expected ${type.typeName}, found ${found === '' ? 'an Any without a type' : found}`,
  );
}

/** Paths of a subscriber are `<resource name>: <path in it>`. */
function locateIn(
  loaded: LoadedConfig<DiscoveryResponse>,
  places: ReadonlyMap<string, string>,
  error: ConfigError,
): ConfigError {
  return new ConfigError(
    error.problems.map((problem) => {
      if (problem.line !== undefined) return problem;
      const place = loaded.place(pathInResponse(problem.path, places));
      return place === undefined ? { ...problem, file: loaded.file ?? '' } : { ...problem, ...place };
    }),
  );
}

function pathInResponse(path: string, places: ReadonlyMap<string, string>): string {
  const whole = places.get(path);
  if (whole !== undefined) return whole;
  // A name may itself hold `: `.
  for (let end = path.indexOf(': '); end >= 0; end = path.indexOf(': ', end + 1)) {
    const place = places.get(path.slice(0, end));
    if (place !== undefined) return `${place}.${path.slice(end + 2)}`;
  }
  return path;
}
