import type { DescField, DescMessage, Message } from '@dragoman/api';
import { descriptorOf, fieldValue, isAny, openAny, packAny, setField } from './config-dump.ts';

/** A mask as a tree; a leaf (no children) keeps the whole field. */
type MaskTree = Map<string, MaskTree>;

/** The paths of a `FieldMask` in text: proto field names, joined by dots, separated by commas. */
export function parseMask(text: string): readonly string[] {
  return text
    .split(',')
    .map((path) => path.trim())
    .filter((path) => path !== '');
}

function treeOf(paths: readonly string[]): MaskTree {
  const root: MaskTree = new Map();
  for (const path of paths) {
    let tree = root;
    for (const [index, name] of path.split('.').entries()) {
      const known = tree.get(name);
      // A path that ends at a field already keeps all of it.
      if (known !== undefined && known.size === 0) break;
      const next: MaskTree = known ?? new Map();
      tree.set(name, next);
      if (index === path.split('.').length - 1) next.clear();
      tree = next;
    }
  }
  return root;
}

/** Whether every path names a field, going only through single messages (not lists, maps or Anys). */
function fits(desc: DescMessage, paths: readonly string[]): boolean {
  return paths.every((path) => {
    let current: DescMessage | undefined = desc;
    for (const name of path.split('.')) {
      const field: DescField | undefined = current?.fields.find((candidate) => candidate.name === name);
      if (field === undefined) return false;
      current = field.fieldKind === 'message' && !isPlain(field.message) ? field.message : undefined;
    }
    return true;
  });
}

/** A Struct or a wrapper, whose value is no message: it is kept whole. */
function isPlain({ typeName }: DescMessage): boolean {
  return typeName === 'google.protobuf.Struct' || /^google\.protobuf\.[A-Z]\w+Value$/.test(typeName);
}

function keepOnly(message: Message, tree: MaskTree): void {
  for (const field of descriptorOf(message).fields) {
    const below = tree.get(field.name);
    if (below === undefined) clear(message, field);
    else if (below.size > 0) {
      const value = fieldValue(message, field);
      if (value !== undefined) keepOnly(value as Message, below);
    }
  }
}

function clear(message: Message, field: DescField): void {
  if (field.oneof !== undefined) {
    if (fieldValue(message, field) !== undefined) setField(message, field, undefined);
  } else if (field.fieldKind === 'list') setField(message, field, []);
  else if (field.fieldKind === 'map') setField(message, field, {});
  else if (field.fieldKind === 'enum') setField(message, field, field.enum.values[0].number);
  else if (field.fieldKind === 'message') setField(message, field, undefined);
  else setField(message, field, scalarDefault(fieldValue(message, field)));
}

function scalarDefault(value: unknown): unknown {
  switch (typeof value) {
    case 'string':
      return '';
    case 'number':
      return 0;
    case 'bigint':
      return 0n;
    case 'boolean':
      return false;
    default:
      return new Uint8Array();
  }
}

/** Removes from `message` (changed in place) what `paths` do not name. False when a path fits nothing: nothing is changed. */
export function trimMessage(message: Message, paths: readonly string[]): boolean {
  if (!fits(descriptorOf(message), paths)) return false;
  keepOnly(message, treeOf(paths));
  return true;
}

/** The same for an element of a config dump, whose resource is in an Any: paths may go into that. */
export function trimResource(message: Message, paths: readonly string[]): boolean {
  const desc = descriptorOf(message);
  const outer = new Set<string>();
  const inner = new Map<DescField, string[]>();
  for (const path of paths) {
    const dot = path.indexOf('.');
    const head = dot < 0 ? path : path.slice(0, dot);
    const field = desc.fields.find((candidate) => candidate.name === head);
    const isAnyField = field?.fieldKind === 'message' && field.message.typeName === 'google.protobuf.Any';
    outer.add(isAnyField ? head : path);
    if (isAnyField && dot >= 0) inner.set(field, [...(inner.get(field) ?? []), path.slice(dot + 1)]);
  }
  if (!fits(desc, [...outer])) return false;
  for (const [field, innerPaths] of inner) {
    const any = fieldValue(message, field) as Message | undefined;
    if (any === undefined || !isAny(any)) continue;
    const resource = openAny(any);
    if (resource === undefined || !trimMessage(resource, innerPaths)) return false;
    setField(message, field, packAny(resource));
  }
  return trimMessage(message, [...outer]);
}
