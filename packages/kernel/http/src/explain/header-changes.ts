import type { HeaderMap } from '@dragoman/core';
import { utf8Text } from '@dragoman/matching';
import type { HeaderChange } from './explanation.ts';

/** Every header of a message as text, pseudo-headers first; lines of a name joined with commas. */
export function snapshot(headers: HeaderMap): ReadonlyMap<string, string> {
  const all = new Map<string, string>();
  headers.forEach((name, value) => {
    const [before, text] = [all.get(name), utf8Text(value)];
    all.set(name, before === undefined ? text : `${before},${text}`);
  });
  return all;
}

/** What stands otherwise in `headers` than it did in `before`. */
export function changesSince(before: ReadonlyMap<string, string>, headers: HeaderMap): HeaderChange[] {
  const after = snapshot(headers);
  const changes: HeaderChange[] = [];
  for (const [name, value] of after)
    if (before.get(name) !== value) changes.push({ name, before: before.get(name), after: value });
  for (const [name, value] of before)
    if (!after.has(name)) changes.push({ name, before: value, after: undefined });
  return changes;
}
