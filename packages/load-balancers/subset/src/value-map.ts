import type { MetadataValue } from '@dragoman/core';

/**
 * Maps values of metadata, compared by kind and content: `1`, `"1"` and `true` are three values, and two lists or structs with the
 * same content are one. Looking up a string, number, bool or null makes nothing; lists and structs are looked up by a text
 * that is made once for each object.
 */
export class ValueMap<T> {
  private readonly plain = new Map<MetadataValue, T>();
  private readonly structured = new Map<string, T>();

  get size(): number {
    return this.plain.size + this.structured.size;
  }

  get(value: MetadataValue | undefined): T | undefined {
    if (typeof value !== 'object' || value === null) return this.plain.get(value as MetadataValue);
    return this.structured.size === 0 ? undefined : this.structured.get(textOf(value));
  }

  set(value: MetadataValue, item: T): void {
    if (typeof value !== 'object' || value === null) this.plain.set(value, item);
    else this.structured.set(textOf(value), item);
  }

  delete(value: MetadataValue): void {
    if (typeof value !== 'object' || value === null) this.plain.delete(value);
    else this.structured.delete(textOf(value));
  }
}

/** Values of routes and endpoints stay the same objects, so their texts are kept. */
const TEXTS = new WeakMap<object, string>();

function textOf(value: object): string {
  let text = TEXTS.get(value);
  if (text === undefined) {
    text = canonical(value as MetadataValue);
    TEXTS.set(value, text);
  }
  return text;
}

/** The same for the same content: the keys of structs are in order. Numbers as they print, so that NaN is not null. */
function canonical(value: MetadataValue): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value !== 'object' || value === null) return String(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  const struct = value as { readonly [key: string]: MetadataValue };
  const fields = Object.keys(struct).sort();
  return `{${fields.map((key) => `${JSON.stringify(key)}:${canonical(struct[key])}`).join()}}`;
}
