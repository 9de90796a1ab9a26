import { ConfigError } from '@dragoman/core';

/*
 * Names of the form `xdstp://<authority>/<type>/<id>?<context>#<directives>`. Two that differ only in the order of their
 * context parameters, or in which harmless characters are escaped, name the same resource.
 */

export interface XdstpName {
  readonly authority: string;
  /** Full name of the message, e.g. `envoy.config.cluster.v3.Cluster`. */
  readonly resourceType: string;
  /** May hold slashes; ends in `/*`, or is `*`, for a collection. */
  readonly id: string;
  /** Sorted by key. */
  readonly context: readonly (readonly [key: string, value: string])[];
  readonly directives: readonly XdstpDirective[];
}

export interface XdstpDirective {
  readonly kind: 'alt' | 'entry';
  readonly value: string;
}

const SCHEME = 'xdstp:';

export function isXdstp(name: string): boolean {
  return name.startsWith(SCHEME);
}

/** @throws ConfigError that says what is wrong with the name */
export function parseXdstp(name: string): XdstpName {
  const match = /^xdstp:\/\/([^/?#]*)\/([^/?#]+)(?:\/([^?#]*))?(?:\?([^#]*))?(?:#(.*))?$/s.exec(name);
  if (match === null)
    throw ConfigError.at(
      '',
      `"${shorten(name)}" must be xdstp://<authority>/<type>/<id>, with ?<key>=<value> behind it if need be`,
    );
  const [, authority, resourceType, id = '', query = '', fragment = ''] = match;
  return {
    authority: decode(authority, name),
    resourceType,
    id: decode(id, name),
    context: parseContext(query, name),
    directives: fragment === '' ? [] : fragment.split(',').map((part) => parseDirective(part, name)),
  };
}

/** The one way to write a name, without directives. */
export function formatXdstp({ authority, resourceType, id, context }: XdstpName): string {
  const path = id === '' ? '' : `/${encode(id, /[%:?#[\]]/g)}`;
  const params = context.map(([key, value]) => `${encode(key, PARAM)}=${encode(value, PARAM)}`);
  const query = params.length === 0 ? '' : `?${params.join('&')}`;
  return `xdstp://${encode(authority, /[%/?#]/g)}/${resourceType}${path}${query}`;
}

/** The one way to write a name; of names that are no URLs, and of those that cannot be read, what they are. */
export function canonicalName(name: string): string {
  if (!isXdstp(name)) return name;
  try {
    return formatXdstp(parseXdstp(name));
  } catch {
    return name;
  }
}

/** Names as they are written, by their canonical form. */
export function spellings(names: Iterable<string>): ReadonlyMap<string, string> {
  return new Map(Array.from(names, (name) => [canonicalName(name), name]));
}

/** Whether a name stands for all that is below it. */
export function isCollection(name: string): boolean {
  return isXdstp(name) && name.split('?', 1)[0].endsWith('/*');
}

/** The collection that holds the resource of this canonical name; undefined for names that are no URLs. */
export function collectionOf(name: string): string | undefined {
  if (!isXdstp(name)) return undefined;
  const query = name.indexOf('?');
  const path = query === -1 ? name : name.slice(0, query);
  const params = query === -1 ? '' : name.slice(query);
  // The slash behind the type begins the id.
  const type = path.indexOf('/', path.indexOf('/', SCHEME.length + 2) + 1);
  const slash = path.lastIndexOf('/');
  return type === -1 ? undefined : `${path.slice(0, slash)}/*${params}`;
}

/** What stands before the last slash of a name that is no URL; undefined: it has none. */
export function namespaceOf(name: string): string | undefined {
  if (isXdstp(name)) return undefined;
  const slash = name.lastIndexOf('/');
  return slash === -1 ? undefined : name.slice(0, slash);
}

/** The names that stand for several resources, this one among them: its collection, or its namespace. */
export function groupsOf(name: string): readonly string[] {
  const group = collectionOf(name) ?? namespaceOf(name);
  return group === undefined ? [] : [group];
}

const PARAM = /[%#[\]&=]/g;

function parseContext(query: string, name: string): [string, string][] {
  const params = new Map<string, string>();
  for (const part of query.split('&')) {
    if (part === '') continue;
    const equals = part.indexOf('=');
    const key = decode(equals === -1 ? part : part.slice(0, equals), name);
    // The first of several lines counts, as in Envoy.
    if (!params.has(key)) params.set(key, equals === -1 ? '' : decode(part.slice(equals + 1), name));
  }
  return [...params].sort(([left], [right]) => (left < right ? -1 : 1));
}

function parseDirective(part: string, name: string): XdstpDirective {
  const equals = part.indexOf('=');
  const kind = part.slice(0, equals);
  if (kind !== 'alt' && kind !== 'entry')
    throw ConfigError.at(
      '',
      `"${shorten(part)}" in "${shorten(name)}" is no directive: there are alt=<url> and entry=<name>`,
    );
  return { kind, value: decode(part.slice(equals + 1), name) };
}

function decode(text: string, name: string): string {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    throw ConfigError.at('', `"${shorten(name)}" has a bad %-escape`);
  }
}

function encode(text: string, reserved: RegExp): string {
  return text.replace(reserved, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);
}

function shorten(text: string): string {
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}
