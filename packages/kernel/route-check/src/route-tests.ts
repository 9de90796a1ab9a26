import {
  DurationSchema,
  durationMs,
  type HeaderMatcher,
  HeaderMatcherSchema,
  readLoose,
} from '@dragoman/api';
import { ConfigError, type ConfigProblem, type MetadataValue } from '@dragoman/core';
import { type Document, LineCounter, parseDocument } from 'yaml';
import type { MetadataEntry, RouteRequest } from './outcome.ts';

/** What a test says of a route; undefined is not checked. Envoy's `ValidationAssert`. */
export interface Expectations {
  readonly clusterName: string | undefined;
  readonly virtualClusterName: string | undefined;
  readonly virtualHostName: string | undefined;
  readonly pathRewrite: string | undefined;
  readonly hostRewrite: string | undefined;
  readonly pathRedirect: string | undefined;
  readonly codeRedirect: number | undefined;
  readonly timeoutMs: number | undefined;
  readonly requestHeaderMatches: readonly HeaderMatcher[];
  readonly responseHeaderMatches: readonly HeaderMatcher[];
  readonly requestHeaderFields: readonly (readonly [name: string, value: string])[];
  readonly responseHeaderFields: readonly (readonly [name: string, value: string])[];
}

/** Envoy's `ValidationItem`. */
export interface RouteTest {
  readonly name: string;
  readonly request: RouteRequest;
  readonly expected: Expectations;
}

/** A file of tests: Envoy's `Validation`. */
export interface RouteTests {
  readonly tests: readonly RouteTest[];
  /** Values of a static layer of the runtime. */
  readonly runtime: Readonly<Record<string, unknown>>;
}

/** A number that every double holds. */
const MAX_RANDOM = 2 ** 53;

/**
 * Reads the tests of Envoy's route table check tool, from YAML or JSON (with trailing commas, as its own examples have them).
 * @param file what errors call it
 * @throws ConfigError with every problem, each with its place
 */
export function readRouteTests(text: string, file?: string): RouteTests {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const problems: ConfigProblem[] = document.errors.map(({ message, pos }) => ({
    ...at(lines, pos[0], file),
    path: '',
    message,
  }));
  if (problems.length === 0) {
    const found: { path: Step[]; message: string }[] = [];
    const tests = readTests(new Fields(document.toJS(), [], found));
    if (found.length === 0) return tests;
    for (const { path, message } of found)
      problems.push({ ...at(lines, offsetOf(document, path), file), path: pathText(path), message });
  }
  throw new ConfigError(problems);
}

type Step = string | number;

function at(lines: LineCounter, offset: number, file: string | undefined) {
  const { line, col } = lines.linePos(offset);
  return { ...(file === undefined ? {} : { file }), line, column: col };
}

/** Where a path stands, or its nearest ancestor. */
function offsetOf(document: Document, path: readonly Step[]): number {
  for (let length = path.length; length > 0; length--) {
    const node = document.getIn(path.slice(0, length), true) as
      | { range?: [number, number, number] }
      | undefined;
    if (node?.range !== undefined) return node.range[0];
  }
  return 0;
}

function pathText(path: readonly Step[]): string {
  return path.reduce<string>(
    (text, step) => (typeof step === 'number' ? `${text}[${step}]` : text === '' ? step : `${text}.${step}`),
    '',
  );
}

function readTests(top: Fields): RouteTests {
  const tests = top.list('tests').map(readTest);
  if (tests.length === 0) top.problem('tests', 'there must be at least one test');
  const runtime = top.object('runtime') ?? {};
  top.done();
  return { tests, runtime };
}

function readTest(fields: Fields): RouteTest {
  const name = fields.required('test_name', 1);
  const request = readRequest(fields.message('input'));
  const expected = readExpectations(fields.message('validate'));
  fields.done();
  return { name, request, expected };
}

function readRequest(fields: Fields): RouteRequest {
  const request = {
    authority: fields.required('authority', 1),
    path: fields.required('path', 1),
    method: fields.required('method', 3),
    ssl: fields.boolean('ssl') ?? false,
    internal: fields.boolean('internal') ?? false,
    random: fields.integer('random_value', MAX_RANDOM) ?? 0,
    runtime: fields.string('runtime') ?? '',
    headers: fields.list('additional_request_headers').map(readHeader),
    responseHeaders: fields.list('additional_response_headers').map(readHeader),
    metadata: fields.list('dynamic_metadata').map(readMetadata),
  };
  fields.done();
  return request;
}

function readExpectations(fields: Fields): Expectations {
  const expected = {
    clusterName: fields.string('cluster_name'),
    virtualClusterName: fields.string('virtual_cluster_name'),
    virtualHostName: fields.string('virtual_host_name'),
    pathRewrite: fields.string('path_rewrite'),
    hostRewrite: fields.string('host_rewrite'),
    pathRedirect: fields.string('path_redirect'),
    codeRedirect: fields.integer('code_redirect', 1000),
    timeoutMs: fields.read('timeout', (value) => durationMs(readLoose(DurationSchema, value))),
    requestHeaderMatches: fields.matchers('request_header_matches'),
    responseHeaderMatches: fields.matchers('response_header_matches'),
    requestHeaderFields: fields.list('request_header_fields').map(readHeader),
    responseHeaderFields: fields.list('response_header_fields').map(readHeader),
  };
  fields.done();
  return expected;
}

function readHeader(fields: Fields): readonly [name: string, value: string] {
  const header = [fields.required('key', 1).toLowerCase(), fields.string('value') ?? ''] as const;
  fields.done();
  return header;
}

function readMetadata(fields: Fields): MetadataEntry {
  const entry = {
    namespace: fields.required('metadata_namespace', 1),
    value: (fields.object('value') ?? {}) as Record<string, MetadataValue>,
    allowOverwrite: fields.boolean('allow_overwrite') ?? false,
  };
  const typedValue = fields.object('typed_value') as Record<string, MetadataValue> | undefined;
  fields.done();
  return typedValue === undefined ? entry : { ...entry, typedValue };
}

const camelCase = (name: string) => name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());

/** The fields of one message, by their names in the proto or in its JSON. Wrong ones become problems. */
class Fields {
  private readonly values: ReadonlyMap<string, unknown>;
  private readonly path: readonly Step[];
  private readonly problems: { path: Step[]; message: string }[];
  private readonly known: string[] = [];

  constructor(value: unknown, path: readonly Step[], problems: { path: Step[]; message: string }[]) {
    this.path = path;
    this.problems = problems;
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    if (!isObject && value !== undefined) this.problem(undefined, 'must be an object');
    this.values = new Map(isObject ? Object.entries(value) : []);
  }

  problem(name: string | undefined, message: string): void {
    this.problems.push({ path: name === undefined ? [...this.path] : [...this.path, name], message });
  }

  /** What nobody has asked for is no field. */
  done(): void {
    for (const name of this.values.keys())
      if (!this.known.some((known) => known === name || camelCase(known) === name))
        this.problem(name, `is not a field here; there are ${this.known.join(', ')}`);
  }

  /** Undefined where it is absent, null or cannot be read. */
  read<T>(name: string, read: (value: unknown) => T): T | undefined {
    const { written, value } = this.find(name);
    if (value === undefined || value === null) return undefined;
    try {
      return read(value);
    } catch (error) {
      if (error instanceof ConfigError)
        for (const { message } of error.problems) this.problem(written, message);
      else this.problem(written, (error as Error).message);
      return undefined;
    }
  }

  string(name: string): string | undefined {
    return this.read(name, (value) => expectType(value, 'string', 'a string') as string);
  }

  required(name: string, minLength: number): string {
    const before = this.problems.length;
    const value = this.string(name) ?? '';
    if (value.length < minLength && this.problems.length === before)
      this.problem(
        name,
        value === '' ? 'is required' : `must have at least ${minLength} characters, has ${value.length}`,
      );
    return value;
  }

  boolean(name: string): boolean | undefined {
    return this.read(name, (value) => expectType(value, 'boolean', 'true or false') as boolean);
  }

  /** 64-bit numbers may be written as strings in JSON. */
  integer(name: string, below: number): number | undefined {
    return this.read(name, (value) => {
      const number = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value;
      if (typeof number !== 'number' || !Number.isInteger(number) || number < 0 || number >= below)
        throw new Error(`must be a whole number from 0 to ${below - 1}`);
      return number;
    });
  }

  object(name: string): Record<string, unknown> | undefined {
    return this.read(name, (value) => {
      if (typeof value !== 'object' || Array.isArray(value)) throw new Error('must be an object');
      return value as Record<string, unknown>;
    });
  }

  /** A message that must be there. */
  message(name: string): Fields {
    const { written, value } = this.find(name);
    if (value === undefined || value === null) this.problem(name, 'is required');
    // What is missing in a message that is missing is no news.
    const problems = value === undefined || value === null ? [] : this.problems;
    return new Fields(value ?? undefined, [...this.path, written], problems);
  }

  list(name: string): Fields[] {
    const { written, value } = this.find(name);
    if (value === undefined || value === null) return [];
    if (!Array.isArray(value)) {
      this.problem(written, 'must be a list');
      return [];
    }
    return value.map((element, i) => new Fields(element ?? {}, [...this.path, written, i], this.problems));
  }

  matchers(name: string): HeaderMatcher[] {
    const read = this.read(name, (value) => {
      if (!Array.isArray(value)) throw new Error('must be a list');
      return value.map((element) => readLoose(HeaderMatcherSchema, element));
    });
    return read ?? [];
  }

  private find(name: string): { readonly written: string; readonly value: unknown } {
    this.known.push(name);
    const json = camelCase(name);
    return this.values.has(name) || !this.values.has(json)
      ? { written: name, value: this.values.get(name) }
      : { written: json, value: this.values.get(json) };
  }
}

function expectType(value: unknown, type: 'string' | 'boolean', text: string): unknown {
  if (typeof value !== type) throw new Error(`must be ${text}`);
  return value;
}
