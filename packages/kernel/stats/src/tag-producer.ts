import type { StatsOptions } from './options.ts';
import { WELL_KNOWN_TAGS, type WellKnownTag } from './well-known-tags.ts';

/** A label of a stat. */
export interface Tag {
  readonly name: string;
  readonly value: string;
}

/** A stat's name without its tags, and the tags. */
export interface TaggedName {
  readonly extractedName: string;
  readonly tags: readonly Tag[];
}

/** A part of a name that is a tag: what to remove, and the value. */
interface Extraction {
  readonly start: number;
  readonly end: number;
  readonly value: string;
}

interface Extractor {
  readonly tagName: string;
  extract(name: string): Extraction | undefined;
}

/**
 * Splits names into tags and the rest. Every extractor sees the whole name; what they found is removed afterwards, so
 * that their order only decides the order of the tags. Of several extractors of one tag name the first to match wins.
 */
export class TagProducer {
  readonly #fixed: Tag[] = [];
  readonly #extractors: Extractor[] = [];

  /** @throws Error when a tag has no name, a bad regex, or neither a value, a regex nor a default extractor. */
  constructor(options: StatsOptions) {
    if (options.useAllDefaultTags !== false)
      this.#extractors.push(...WELL_KNOWN_TAGS.map(wellKnownExtractor));
    for (const tag of options.tags ?? []) {
      if (tag.name === '') throw new Error('tag_name cannot be empty');
      if (tag.fixedValue !== undefined) {
        this.#fixed.push({ name: tag.name, value: tag.fixedValue });
      } else if (tag.regex !== undefined && tag.regex !== '') {
        this.#extractors.push(regexExtractor(tag.name, new RegExp(tag.regex, 'd')));
      } else {
        const defaults = WELL_KNOWN_TAGS.filter((known) => known.name === tag.name);
        if (defaults.length === 0) {
          throw new Error(
            `no regex specified for tag specifier and no default regex for name: '${tag.name}'`,
          );
        }
        this.#extractors.push(...defaults.map(wellKnownExtractor));
      }
    }
  }

  produce(name: string): TaggedName {
    const tags = [...this.#fixed];
    const removals: Extraction[] = [];
    const found = new Set<string>();
    for (const extractor of this.#extractors) {
      if (found.has(extractor.tagName)) continue;
      const extraction = extractor.extract(name);
      if (extraction === undefined) continue;
      found.add(extractor.tagName);
      tags.push({ name: extractor.tagName, value: extraction.value });
      removals.push(extraction);
    }
    return { extractedName: remove(name, removals), tags };
  }
}

function remove(name: string, removals: readonly Extraction[]): string {
  let rest = '';
  let position = 0;
  for (const { start, end } of [...removals].sort((a, b) => a.start - b.start)) {
    if (start > position) rest += name.slice(position, start);
    position = Math.max(position, end);
  }
  return rest + name.slice(position);
}

function wellKnownExtractor(tag: WellKnownTag): Extractor {
  if (tag.tokens !== undefined) return tokenExtractor(tag.name, tag.tokens);
  const { contains, except } = tag;
  const inner = regexExtractor(tag.name, tag.regex!);
  return {
    tagName: tag.name,
    extract(name) {
      if (contains !== undefined && !name.includes(contains)) return undefined;
      const extraction = inner.extract(name);
      return extraction?.value === except ? undefined : extraction;
    },
  };
}

/** `regex` has the flag `d`. */
function regexExtractor(tagName: string, regex: RegExp): Extractor {
  return {
    tagName,
    extract(name) {
      const match = regex.exec(name);
      const range = match?.indices?.[1];
      if (match === null || range === undefined) return undefined;
      return { start: range[0], end: range[1], value: match[2] || match[1] };
    },
  };
}

function tokenExtractor(tagName: string, pattern: string): Extractor {
  const wanted = pattern.split('.');
  return {
    tagName,
    extract(name) {
      // Most patterns begin with a word: names of other families are told apart without splitting them.
      if (wanted[0] !== '$' && !name.startsWith(`${wanted[0]}.`)) return undefined;
      const parts = name.split('.');
      const index = matchTokens(wanted, 0, parts, 0);
      if (index === undefined) return undefined;
      const start = parts.slice(0, index).reduce((length, part) => length + part.length + 1, 0);
      const end = start + parts[index].length;
      // The tag takes a dot with it: the one after it, or at the end of the name the one before.
      return index < parts.length - 1
        ? { start, end: end + 1, value: parts[index] }
        : { start: start - 1, end, value: parts[index] };
    },
  };
}

/** The index of the part that `$` stands for, or undefined when the parts do not match.. */
function matchTokens(
  wanted: readonly string[],
  at: number,
  parts: readonly string[],
  from: number,
  value?: number,
): number | undefined {
  if (at === wanted.length) return from === parts.length ? value : undefined;
  const token = wanted[at];
  if (token === '**') {
    if (at === wanted.length - 1) return value;
    for (let next = from; next <= parts.length; next++) {
      const found = matchTokens(wanted, at + 1, parts, next, value);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  if (from === parts.length) return undefined;
  if (token === '$') return matchTokens(wanted, at + 1, parts, from + 1, from);
  if (token !== '*' && token !== parts[from]) return undefined;
  return matchTokens(wanted, at + 1, parts, from + 1, value);
}
