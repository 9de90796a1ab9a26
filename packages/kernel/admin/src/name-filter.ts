import type { Message } from '@dragoman/api';
import { descriptorOf, elements, fieldValue, isAny, openAny, setField } from './config-dump.ts';

/**
 * Keeps of the resources in a part of the config dump (changed in place) those whose name `matches`. A part without
 * lists of named resources, such as the bootstrap, stays whole.
 */
export function keepNamed(dump: Message, matches: (name: string) => boolean): void {
  for (const field of descriptorOf(dump).fields) {
    const list = elements(dump, field);
    if (list === undefined) continue;
    setField(
      dump,
      field,
      list.filter((element) => {
        const names = resourceNames(element);
        return names.length === 0 || names.some(matches) || keepNamedWithin(element, matches);
      }),
    );
  }
}

/** A group of resources (scopes) that has another name is cut down to those in it. @returns whether any is left */
function keepNamedWithin(group: Message, matches: (name: string) => boolean): boolean {
  let kept = false;
  for (const field of descriptorOf(group).fields) {
    const anys = elements(group, field)?.filter(isAny);
    if (anys === undefined) continue;
    const named = anys.filter((any) => {
      const resource = openAny(any);
      const name = resource === undefined ? undefined : nameOf(resource);
      return name !== undefined && matches(name);
    });
    setField(group, field, named);
    kept ||= named.length > 0;
  }
  return kept;
}

/**
 * The names of what an element holds: its own `name`, that of the resource in its Any, or those in the states of a dynamic
 * listener. A load assignment is named by `cluster_name`.
 */
function resourceNames(element: Message): string[] {
  const own = nameOf(element);
  if (own !== undefined) return [own];
  const names: string[] = [];
  for (const field of descriptorOf(element).fields) {
    if (field.fieldKind !== 'message') continue;
    const value = fieldValue(element, field) as Message | undefined;
    if (value === undefined || field.message.typeName.startsWith('google.protobuf.') !== isAny(value))
      continue;
    if (isAny(value)) {
      const resource = openAny(value);
      const name = resource === undefined ? undefined : nameOf(resource);
      if (name !== undefined) names.push(name);
    } else names.push(...resourceNames(value));
  }
  return names;
}

function nameOf(message: Message): string | undefined {
  const { fields } = descriptorOf(message);
  const field =
    fields.find(({ name }) => name === 'name') ?? fields.find(({ name }) => name === 'cluster_name');
  const value = field === undefined ? undefined : fieldValue(message, field);
  return typeof value === 'string' ? value : undefined;
}
