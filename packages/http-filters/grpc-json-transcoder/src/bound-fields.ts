import type { DescField, DescMessage } from '@bufbuild/protobuf';
import { type FieldPath, resolveFieldPath } from './field-path.ts';
import type { TemplateVariable } from './path-template.ts';
import { Refusal } from './refusal.ts';
import { textOfBytes, type UnescapeSpec, unescapeBytes } from './unescape.ts';

/** A variable of a template, with the field it stands for; a text: why it stands for none. */
export interface Variable extends TemplateVariable {
  readonly field: FieldPath | string;
}

/** How a request line becomes fields. */
export interface LineOptions {
  readonly unescape: UnescapeSpec;
  /** `query_param_unescape_plus` */
  readonly plusIsSpace: boolean;
  /** `ignored_query_parameters`, as they stand in a query. */
  readonly ignored: ReadonlySet<string>;
  /** What becomes of a name that is no field. */
  readonly unknown: 'refuse' | 'ignore' | 'capture';
}

/** What the values in a request line are for. */
export interface LineValues {
  readonly fields: readonly BoundField[];
  /** Values by names that are no fields, when they are captured and there are any. */
  readonly unknown: ReadonlyMap<string, readonly string[]> | undefined;
}

export interface BoundField {
  readonly path: FieldPath;
  readonly value: string;
}

/** A name that is no field: unless it is to be refused, the request is not transcoded. */
export class UnknownName extends Refusal {}

/** The fields that the path and the query of a request set, in their order. `message` is the one they are fields of. */
export function bindLine(
  message: DescMessage,
  variables: readonly Variable[],
  segments: readonly string[],
  query: string,
  options: LineOptions,
): LineValues | Refusal {
  const line = new LineReader(message, options);
  for (const variable of variables) {
    const value = variableValue(variable, segments, options.unescape);
    line.add(variable.fieldPath, variable.field, value);
  }
  if (query !== '') line.addQuery(query);
  return line.refusal ?? { fields: line.fields, unknown: line.unknown };
}

class LineReader {
  readonly fields: BoundField[] = [];
  unknown: Map<string, string[]> | undefined;
  /** The first one. */
  refusal: Refusal | undefined;
  private readonly message: DescMessage;
  private readonly options: LineOptions;

  constructor(message: DescMessage, options: LineOptions) {
    this.message = message;
    this.options = options;
  }

  /** A parameter without a name or without `=` is none. */
  addQuery(query: string): void {
    const { ignored, plusIsSpace } = this.options;
    for (const parameter of query.split('&')) {
      const equals = parameter.indexOf('=');
      if (equals <= 0) continue;
      const name = parameter.slice(0, equals);
      if (ignored.has(name)) continue;
      const names = name.split('.');
      if (names.at(-1) === '') names.pop();
      const value = unescapeBytes(parameter.slice(equals + 1), 'all', plusIsSpace);
      this.add(names, resolveFieldPath(this.message, names), value);
      if (this.refusal !== undefined) return;
    }
  }

  add(names: readonly string[], field: FieldPath | string, bytes: string): void {
    if (this.refusal !== undefined) return;
    const { unknown } = this.options;
    if (typeof field === 'string' && unknown !== 'capture') {
      if (unknown === 'refuse') this.refusal = new UnknownName(400, 'INVALID_ARGUMENT', field);
      return;
    }
    const value = textOfBytes(bytes);
    if (value === undefined) this.refusal = Refusal.request('Encountered non UTF-8 code points.');
    else if (typeof field === 'string') this.capture(names.join('.'), value);
    else this.fields.push({ path: field, value });
  }

  private capture(name: string, value: string): void {
    this.unknown ??= new Map();
    const values = this.unknown.get(name);
    if (values === undefined) this.unknown.set(name, [value]);
    else values.push(value);
  }
}

function variableValue(
  { start, length, behind }: Variable,
  segments: readonly string[],
  spec: UnescapeSpec,
): string {
  const end = length === undefined ? segments.length - behind : start + length;
  // What one `*` has matched is taken for one value, slashes and all.
  if (length === 1) return unescapeBytes(segments[start] ?? '', 'all');
  return segments
    .slice(start, end)
    .map((segment) => unescapeBytes(segment, spec))
    .join('/');
}

/** The fields of a list with a common first part. */
export interface FieldTree {
  readonly values: Map<DescField, string[]>;
  readonly messages: Map<DescField, FieldTree>;
}

export function treeOf(fields: readonly BoundField[]): FieldTree {
  const root = newTree();
  for (const { path, value } of fields) {
    let tree = root;
    for (const field of path.slice(0, -1)) {
      let next = tree.messages.get(field);
      if (next === undefined) tree.messages.set(field, (next = newTree()));
      tree = next;
    }
    const last = path.at(-1);
    if (last === undefined) continue;
    const values = tree.values.get(last);
    if (values === undefined) tree.values.set(last, [value]);
    else values.push(value);
  }
  return root;
}

function newTree(): FieldTree {
  return { values: new Map(), messages: new Map() };
}
