import { detailsWord, type RequestHeaders, type RouteMiss, type StreamInfo } from '@dragoman/core';
import { asciiLower } from '@dragoman/matching';
import { pathEnd } from '../path/normalize.ts';
import { isConnect, type PathCondition } from './path-condition.ts';
import type { RouteEntry } from './route-list.ts';

/** A virtual host may have thousands of routes, and a stranger may ask for what is not there all day: only so many are looked at. */
const LOOKED_AT = 256;

/** @param hostHeader `vhost_header`, or empty */
export function noVirtualHost(hostHeader: string): RouteMiss {
  const what = hostHeader === '' ? 'the authority' : `the value of ${hostHeader}`;
  return { details: 'no_virtual_host', text: `no virtual host has a domain for ${what}` };
}

export function noRoute(virtualHost: string): RouteMiss {
  return {
    details: `virtual_host:${detailsWord(virtualHost)}|no_route`,
    text: `no route of the virtual host "${virtualHost}" is near`,
  };
}

/**
 * What of a virtual host's routes came nearest: the first whose path fits, else the one that has the most of the path in common.
 * @param end where the path ends that routes match on
 */
export function nearestMiss(
  virtualHost: string,
  entries: readonly RouteEntry[],
  headers: RequestHeaders,
  info: StreamInfo,
  random: number,
  end: number,
): RouteMiss {
  const path = new AskedPath(headers.path.slice(0, end));
  let nearest = -1;
  let inCommon = 0;
  const looked = Math.min(entries.length, LOOKED_AT);
  for (let i = 0; i < looked; i++) {
    const entry = entries[i] as RouteEntry;
    if (holds(entry.path, path, headers)) {
      const failed = entry.conditions.find((condition) => !condition.holds(headers, info, random));
      // All of them hold with this draw: the lookup had another one.
      return miss(virtualHost, entry, i, failed?.field ?? 'runtime_fraction');
    }
    const length = commonLength(entry.path, path);
    if (length <= inCommon) continue;
    inCommon = length;
    nearest = i;
  }
  return nearest < 0
    ? noRoute(virtualHost)
    : miss(virtualHost, entries[nearest] as RouteEntry, nearest, 'path');
}

function miss(virtualHost: string, { name }: RouteEntry, index: number, field: string): RouteMiss {
  const place = `routes[${index}]`;
  return {
    details: `virtual_host:${detailsWord(virtualHost)}|nearest:${name === '' ? place : detailsWord(name)}|failed:${field}`,
    text: `nearest in the virtual host "${virtualHost}" is ${place}${name === '' ? '' : ` "${name}"`}, but for its ${field}`,
  };
}

/** A path, in lower case when a route asks for that: once for all of them, since it may be long. */
class AskedPath {
  readonly text: string;
  private lower: string | undefined = undefined;

  constructor(text: string) {
    this.text = text;
  }

  for({ ignoreCase }: { readonly ignoreCase: boolean }): string {
    if (!ignoreCase) return this.text;
    this.lower ??= asciiLower(this.text);
    return this.lower;
  }
}

function holds(condition: PathCondition, path: AskedPath, headers: RequestHeaders): boolean {
  if (condition.kind === 'connect') return isConnect(headers);
  if (path.text === '') return false;
  switch (condition.kind) {
    case 'exact':
      return path.for(condition) === condition.path;
    case 'prefix':
      return path.for(condition).startsWith(condition.path);
    case 'separated': {
      const text = path.for(condition);
      return text === condition.path || text.startsWith(`${condition.path}/`);
    }
    case 'regex':
      return condition.regex.fullMatch(path.text);
    case 'policy':
      return condition.matcher.match(headers.path.slice(0, pathEnd(headers.path)));
  }
}

/** How many characters a path has in common with what a condition asks for; a single slash is nothing. */
function commonLength(condition: PathCondition, path: AskedPath): number {
  if (!('path' in condition)) return 0;
  const text = path.for(condition);
  const limit = Math.min(text.length, condition.path.length);
  let same = 0;
  while (same < limit && text.charCodeAt(same) === condition.path.charCodeAt(same)) same++;
  return same > 1 ? same : 0;
}
