import {
  type Alias,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type Node,
  type Pair,
  parseDocument,
  type Scalar,
} from 'yaml';
import { MAX_DEPTH } from './normalise.ts';
import { camelCase, type PathStep } from './path.ts';
import { type Source, SourceError } from './source.ts';

const TRUE = /^(?:y|Y|yes|Yes|YES|true|True|TRUE|on|On|ON)$/;
const FALSE = /^(?:n|N|no|No|NO|false|False|FALSE|off|Off|OFF)$/;
const NULL = /^(?:~|null|Null|NULL|)$/;
const INTEGER = /^([+-]?)(?:0[xX]([0-9a-fA-F]+)|0([0-7]+)|(\d+))$/;
const FLOAT = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const INFINITE = /^([+-]?)\.(?:inf|Inf|INF)$/;

/** What Envoy makes of an unquoted scalar: boolean, integer (C notation), double, else string. */
export function plainScalar(text: string): unknown {
  if (NULL.test(text)) return null;
  if (TRUE.test(text)) return true;
  if (FALSE.test(text)) return false;
  const integer = INTEGER.exec(text);
  if (integer !== null && text.length < 40) {
    const [, sign, hex, octal, decimal] = integer;
    const leadingZero = decimal !== undefined && decimal.length > 1 && decimal.startsWith('0');
    if (!leadingZero) {
      const size = BigInt(hex !== undefined ? `0x${hex}` : octal !== undefined ? `0o${octal}` : decimal);
      const value = sign === '-' ? -size : size;
      // Beyond what a double holds exactly, integers travel as strings, as proto3 JSON allows.
      if (value >= -(2n ** 63n) && value < 2n ** 63n) {
        return value >= -(2n ** 53n) && value <= 2n ** 53n ? Number(value) : String(value);
      }
      if (value < 2n ** 64n) return String(value);
    }
  }
  if (FLOAT.test(text)) {
    const value = Number(text);
    if (Number.isFinite(value)) return value;
  }
  const infinite = INFINITE.exec(text);
  if (infinite !== null) return infinite[1] === '-' ? '-Infinity' : 'Infinity';
  if (/^\.(?:nan|NaN|NAN)$/.test(text)) return 'NaN';
  return text;
}

class Converter {
  readonly #anchors = new Map<string, { value: unknown; node: Node; open: boolean }>();
  readonly targets = new Map<Alias, Node>();
  readonly problems: { offset: number; message: string }[] = [];
  #depth = 0;

  convert(node: unknown): unknown {
    if (node === null || node === undefined) return null;
    const known = node as Node;
    if (isAlias(known)) return this.#alias(known);
    const name = (known as Scalar).anchor;
    if (name === undefined) return this.#content(known);
    const entry = { value: undefined as unknown, node: known, open: true };
    this.#anchors.set(name, entry);
    entry.value = this.#content(known);
    entry.open = false;
    return entry.value;
  }

  #alias(alias: Alias): unknown {
    const entry = this.#anchors.get(alias.source);
    const offset = alias.range?.[0] ?? 0;
    if (entry === undefined) {
      this.problems.push({ offset, message: `no anchor &${alias.source} before this alias` });
      return null;
    }
    if (entry.open) {
      this.problems.push({ offset, message: `the alias *${alias.source} stands inside its own anchor` });
      return null;
    }
    this.targets.set(alias, entry.node);
    return entry.value;
  }

  #content(node: Node): unknown {
    if (isScalar(node)) {
      if (node.type === 'PLAIN' || node.type === undefined) return plainScalar(String(node.value ?? ''));
      return String(node.value ?? '');
    }
    if (this.#depth >= MAX_DEPTH) {
      throw new SourceError([
        { offset: node.range?.[0] ?? 0, message: `nested more than ${MAX_DEPTH} deep` },
      ]);
    }
    this.#depth++;
    const result = isSeq(node)
      ? node.items.map((item) => this.convert(item))
      : this.#map(node as { items: Pair[] });
    this.#depth--;
    return result;
  }

  #map(node: { items: Pair[] }): unknown {
    const map = Object.create(null) as Record<string, unknown>;
    for (const pair of node.items) {
      const key = pair.key as Node;
      const value = pair.value as Node | null;
      const kept = this.convert(value); // also when ignored: it may hold an anchor
      if ((key as Scalar)?.tag === '!ignore' || (value as Scalar | null)?.tag === '!ignore') continue;
      const name = isAlias(key) ? this.convert(key) : keyText(key);
      if (name === undefined || typeof name === 'object') {
        this.problems.push({ offset: key?.range?.[0] ?? 0, message: 'a key must be a scalar' });
        continue;
      }
      map[String(name)] = kept;
    }
    return map;
  }
}

function keyText(key: unknown): string | undefined {
  if (key === null || key === undefined) return '';
  return isScalar(key) ? String(key.value ?? '') : undefined;
}

/**
 * Reads YAML as Envoy does: the first document, plain scalars guessed, the last of equal keys, `!ignore` left out.
 * @throws SourceError on what is not YAML
 */
export function readYaml(text: string): Source {
  let document: ReturnType<typeof parseDocument>;
  try {
    document = parseDocument(text, {
      schema: 'failsafe',
      uniqueKeys: false,
      prettyErrors: false,
      logLevel: 'silent',
      keepSourceTokens: false,
      strict: true,
    });
  } catch (error) {
    throw new SourceError([
      {
        offset: 0,
        message: error instanceof RangeError ? 'nested too deeply' : `not YAML: ${(error as Error).message}`,
      },
    ]);
  }
  const errors = document.errors.filter((error) => error.code !== 'MULTIPLE_DOCS');
  if (errors.length > 0) {
    throw new SourceError(
      errors.slice(0, 20).map((error) => ({
        offset: error.pos[0],
        message: /call stack/.test(error.message) ? 'nested too deeply' : `not YAML: ${error.message}`,
      })),
    );
  }
  const converter = new Converter();
  let value: unknown;
  try {
    value = converter.convert(document.contents);
  } catch (error) {
    if (error instanceof RangeError) throw new SourceError([{ offset: 0, message: 'nested too deeply' }]);
    throw error;
  }
  if (converter.problems.length > 0) throw new SourceError(converter.problems);
  return {
    value,
    find: (steps, part) => findNode(document.contents as Node | null, converter.targets, steps, part),
  };
}

function findNode(
  root: Node | null,
  targets: ReadonlyMap<Alias, Node>,
  steps: readonly PathStep[],
  part: 'key' | 'value',
): { offset: number; depth: number } {
  let node = root;
  let offset = startOf(root) ?? 0;
  let depth = 0;
  for (const step of steps) {
    const target = node !== null && isAlias(node) ? (targets.get(node) ?? null) : node;
    if (typeof step === 'number') {
      if (isSeq(target)) {
        const items = target.items.filter((item) => !isNull(item)); // nulls in a list do not count
        if (step >= items.length) break;
        node = items[step] as Node | null;
        offset = startOf(node) ?? offset;
      } else if (step !== 0) break; // a lone value in place of a list is its item 0
      depth++;
      continue;
    }
    const pair = isMap(target) ? pairOf(target as unknown as { items: Pair[] }, step) : undefined;
    if (pair === undefined) break;
    depth++;
    node = pair.value as Node | null;
    const value = startOf(node);
    const last = depth === steps.length;
    // A map or list that begins on a later line than its key is better found by the key.
    const byKey = (last && part === 'key') || value === undefined || isMap(node) || isSeq(node);
    offset = (byKey ? startOf(pair.key as Node) : value) ?? offset;
  }
  return { offset, depth };
}

const isNull = (node: unknown): boolean =>
  node === null || (isScalar(node) && node.type === 'PLAIN' && NULL.test(String(node.value ?? '')));

const startOf = (node: Node | null | undefined): number | undefined => node?.range?.[0];

/** The last pair of that name; inside a TypedStruct the fields stand under `value`. */
function pairOf(map: { items: Pair[] }, step: string | { key: string }): Pair | undefined {
  const names = typeof step === 'object' ? [step.key] : [step, camelCase(step)];
  const own = map.items.findLast((pair) => names.includes(keyText(pair.key) ?? ''));
  if (own !== undefined || typeof step === 'object') return own;
  const value = map.items.findLast((pair) => keyText(pair.key) === 'value')?.value;
  const typed = map.items.some((pair) => /^type_?[uU]rl$/.test(keyText(pair.key) ?? ''));
  return typed && isMap(value) ? pairOf(value as unknown as { items: Pair[] }, step) : undefined;
}
