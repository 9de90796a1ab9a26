import { readFileSync } from 'node:fs';
import { type DescMessage, fromBinary, fromJson, type MessageShape, type Registry } from '@bufbuild/protobuf';
import { ConfigError, type ConfigProblem, compileRegex } from '@dragoman/core';
import { bootstrapVisitors, checkBootstrap } from './check-bootstrap.ts';
import { ConstraintChecker, type Visitor } from './constraints.ts';
import { type Bootstrap, BootstrapSchema } from './gen/index.ts';
import { readJson } from './json-source.ts';
import { mergeMessages } from './merge.ts';
import { GiveUp, Normaliser } from './normalise.ts';
import { type PathStep, parsePath } from './path.ts';
import { registry as api } from './registry.ts';
import { type Place, placeOf, type Source, SourceError } from './source.ts';
import { readTextFormat } from './text-format.ts';
import { readYaml } from './yaml-source.ts';

/** How a config is written. Told by the file's name when it is not given. */
export type ConfigFormat = 'yaml' | 'json' | 'pb' | 'pb_text';

/** Where a config comes from: the path of a file, or its content, with the name that errors print. */
export type ConfigSource =
  | string
  | { file: string; format?: ConfigFormat }
  | { text: string; format?: ConfigFormat; file?: string }
  | { bytes: Uint8Array; format?: ConfigFormat; file?: string };

export interface LoadOptions<S extends DescMessage = DescMessage> {
  /** The message type of the document. Default: Bootstrap. */
  schema?: S;
  /** Merged over the config by protobuf's MergeFrom, before it is checked (`--config-yaml`). */
  overlay?: ConfigSource;
  /** Unknown fields are warnings and not errors (`--allow-unknown-static-fields`). Default false. */
  allowUnknownStaticFields?: boolean;
  /** Throws an Error when a pattern is not valid. Default: RE2 syntax as `@dragoman/core` compiles it. */
  checkRegex?: (pattern: string) => void;
  /** Types that Any and TypedStruct can name. Default: the whole API. */
  registry?: Registry;
  /** Bytes of a document, at most. Default 128 MiB. */
  maxBytes?: number;
}

/** A config that was read and found valid. */
export interface LoadedConfig<T> {
  message: T;
  /** Deprecated fields (each once), fields ignored. */
  warnings: ConfigProblem[];
  /** Messages with unknown fields that `allowUnknownStaticFields` let through (Envoy: `server.static_unknown_fields`). */
  messagesWithUnknownFields: number;
  /** The file or the name given for the text. */
  file: string | undefined;
  format: ConfigFormat;
  /** Where a path stands: its nearest ancestor that is in the text; undefined for binary configs. */
  place(path: string, part?: 'key' | 'value'): (Place & { file: string | undefined }) | undefined;
}

const MAX_BYTES = 128 * 1024 * 1024;

function formatOf(file: string | undefined, text: string | undefined): ConfigFormat {
  const ending = /\.([a-z_]+)$/i.exec(file ?? '')?.[1]?.toLowerCase();
  switch (ending) {
    case 'yaml':
    case 'yml':
      return 'yaml';
    case 'json':
      return 'json';
    case 'pb':
      return 'pb';
    case 'pb_text':
    case 'textproto':
    case 'pbtxt':
      return 'pb_text';
    default:
      return text !== undefined && /^\s*\{/.test(text) ? 'json' : 'yaml';
  }
}

/** One document on its way to a message, with what is needed to place problems in it. */
class Document<S extends DescMessage> {
  readonly file: string | undefined;
  readonly format: ConfigFormat;
  readonly warnings: ConfigProblem[] = [];
  readonly problems: ConfigProblem[] = [];
  /** Those of the problems that are about a key which is no field. */
  readonly unknownKeys = new Set<ConfigProblem>();
  message: MessageShape<S> | undefined;
  messagesWithUnknownFields = 0;
  #text = '';
  #source: Source | undefined;

  constructor(source: ConfigSource, schema: S, options: LoadOptions<S>) {
    const given = typeof source === 'string' ? { file: source } : source;
    this.file = given.file;
    let content: string | Uint8Array;
    if ('text' in given) content = given.text;
    else if ('bytes' in given) content = given.bytes;
    else content = readContent(given.file as string);
    const limit = options.maxBytes ?? MAX_BYTES;
    const size = typeof content === 'string' ? Buffer.byteLength(content) : content.length;
    const text = typeof content === 'string' ? content : undefined;
    this.format = given.format ?? formatOf(this.file, text ?? startOf(content as Uint8Array));
    if (size > limit) {
      this.#fail(`${size} bytes are more than the ${limit} that a config may have`);
      return;
    }
    if (this.format === 'pb') {
      this.#readBinary(typeof content === 'string' ? Buffer.from(content, 'latin1') : content, schema);
      return;
    }
    this.#text = (text ?? Buffer.from(content as Uint8Array).toString('utf8')).replace(/^\uFEFF/, '');
    try {
      this.#readText(schema, options);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.#fail('nested too deeply');
    }
  }

  #fail(message: string): void {
    const problem: ConfigProblem = { path: '', message };
    if (this.file !== undefined) problem.file = this.file;
    this.problems.push(problem);
  }

  #readBinary(bytes: Uint8Array, schema: S): void {
    try {
      this.message = fromBinary(schema, bytes);
    } catch (error) {
      this.#fail(`not a binary ${schema.typeName}: ${(error as Error).message}`);
    }
  }

  #readText(schema: S, options: LoadOptions<S>): void {
    const registry = options.registry ?? api;
    let source: Source;
    try {
      source =
        this.format === 'json'
          ? readJson(this.#text)
          : this.format === 'yaml'
            ? readYaml(this.#text)
            : readTextFormat(this.#text, schema, registry);
    } catch (error) {
      if (!(error instanceof SourceError)) throw error;
      for (const { offset, message } of error.problems) {
        this.problems.push({ file: this.file, ...placeOf(this.#text, offset), path: '', message });
      }
      return;
    }
    this.#source = source;
    const allowUnknownFields = options.allowUnknownStaticFields ?? false;
    const normaliser = new Normaliser({ registry, allowUnknownFields });
    let json: ReturnType<Normaliser['message']>;
    try {
      // An empty file is an empty message.
      json = normaliser.message(schema, source.value ?? Object.create(null));
    } catch (error) {
      if (!(error instanceof GiveUp)) throw error;
    }
    for (const problem of normaliser.problems) {
      const aboutKey = normaliser.aboutKeys.has(problem);
      const placed = this.placed(problem, aboutKey ? 'key' : 'value');
      this.problems.push(placed);
      if (aboutKey) this.unknownKeys.add(placed);
    }
    this.messagesWithUnknownFields = normaliser.messagesWithUnknownFields;
    for (const problem of normaliser.warnings) this.warnings.push(this.placed(problem, 'key'));
    if (json === undefined) return;
    try {
      this.message = fromJson(schema, json, { registry, recursionLimit: 1000 });
    } catch (error) {
      if (this.problems.length === 0) this.#fail((error as Error).message);
    }
  }

  find(steps: readonly PathStep[], part: 'key' | 'value'): { offset: number; depth: number } | undefined {
    return this.#source?.find(steps, part);
  }

  placeAt(offset: number): Place & { file: string | undefined } {
    return { file: this.file, ...placeOf(this.#text, offset) };
  }

  placed(problem: ConfigProblem, part: 'key' | 'value'): ConfigProblem {
    const found = this.find(parsePath(problem.path), part);
    if (found === undefined) return this.file === undefined ? problem : { ...problem, file: this.file };
    return { ...problem, ...this.placeAt(found.offset) };
  }
}

/**
 * The same path in the overlay: its lists were appended, so their elements have lower numbers there. An element of
 * the base's own is not in it at all.
 */
function overlaySteps(base: Document<DescMessage>, steps: readonly PathStep[]): readonly PathStep[] {
  const at = steps.findIndex((step) => typeof step === 'number');
  if (at < 0) return steps;
  const list = steps.slice(0, at);
  const isElement = (index: number) => base.find([...list, index], 'value')?.depth === at + 1;
  const wanted = steps[at] as number;
  let count = 0;
  while (count <= wanted && isElement(count)) count++;
  return count > wanted ? list : [...list, wanted - count, ...steps.slice(at + 1)];
}

function readContent(file: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new ConfigError({ file, path: '', message: `cannot be read: ${(error as Error).message}` });
  }
}

const startOf = (bytes: Uint8Array) => Buffer.from(bytes.subarray(0, 64)).toString('latin1');

/**
 * Reads a config from a file or text into a typed message and checks it: syntax, fields and types, the constraints of
 * the API, regular expressions, and for a Bootstrap what hangs together (names, routes and their clusters).
 * @throws ConfigError with every problem found, each with its path and, for text, its place
 */
export function loadConfig(
  source: ConfigSource,
  options?: LoadOptions<typeof BootstrapSchema>,
): LoadedConfig<Bootstrap>;
export function loadConfig<S extends DescMessage>(
  source: ConfigSource,
  options: LoadOptions<S> & { schema: S },
): LoadedConfig<MessageShape<S>>;
export function loadConfig<S extends DescMessage>(
  source: ConfigSource,
  options: LoadOptions<S> = {},
): LoadedConfig<MessageShape<S>> {
  const schema = options.schema ?? (BootstrapSchema as unknown as S);
  const documents = [new Document(source, schema, options)];
  if (options.overlay !== undefined) documents.push(new Document(options.overlay, schema, options));
  const broken = documents.flatMap((document) => document.problems);
  // What is merged from broken parts has other indexes than its parts: nothing more can be said of it.
  const mixed = broken.length > 0 && documents.length > 1;
  if (mixed || documents.some((document) => document.message === undefined)) throw new ConfigError(broken);

  const [first, second] = documents;
  const base = first.message as MessageShape<S>;
  const message =
    second === undefined ? base : mergeMessages(schema, base, second.message as MessageShape<S>);
  const loaded: LoadedConfig<MessageShape<S>> = {
    message,
    warnings: documents.flatMap((document) => document.warnings),
    messagesWithUnknownFields: documents.reduce(
      (sum, document) => sum + document.messagesWithUnknownFields,
      0,
    ),
    file: first.file,
    format: first.format,
    place(path, part = 'value') {
      const steps = parsePath(path);
      const found = first.find(steps, part);
      const over = second?.find(overlaySteps(first, steps), part);
      // What stands in both is the overlay's: it came last. What is in neither is missed where the base would have it.
      const isOver = over !== undefined && (found === undefined || over.depth > found.depth);
      const inBoth = over !== undefined && over.depth === steps.length;
      if (second !== undefined && over !== undefined && (isOver || inBoth))
        return second.placeAt(over.offset);
      return found === undefined ? undefined : first.placeAt(found.offset);
    },
  };

  const isBootstrap = schema.typeName === BootstrapSchema.typeName;
  const visitors: ReadonlyMap<string, readonly Visitor[]> = bootstrapVisitors(
    isBootstrap ? (message as unknown as Bootstrap) : undefined,
    options.checkRegex ?? compileRegex,
  );
  const checker = new ConstraintChecker({
    registry: options.registry,
    unknownFields: options.allowUnknownStaticFields ? 'warning' : 'error',
    visitors,
  });
  checker.message(message, schema);
  loaded.messagesWithUnknownFields += checker.messagesWithUnknownFields;
  const { problems } = checker;
  if (isBootstrap) problems.push(...checkBootstrap(message as unknown as Bootstrap));
  const located = problems.map((problem) => locate(loaded, problem));
  const errors = located.filter((problem) => problem.severity !== 'warning');
  if (broken.length > 0) throw new ConfigError(inOrder([...broken, ...withoutEchoes(errors, documents)]));
  if (errors.length > 0) throw new ConfigError(inOrder(errors));
  loaded.warnings.push(...located.filter((problem) => problem.severity === 'warning'));
  return loaded;
}

/**
 * Where something could not be read, the checks that follow see a hole. What they say about the hole, about what is in
 * it, about the message it is in, or about a field missing there (when a key was misspelt) is an echo and left out.
 */
function withoutEchoes(
  problems: readonly ConfigProblem[],
  documents: readonly Document<DescMessage>[],
): ConfigProblem[] {
  const holes = documents.flatMap((document) =>
    document.problems.map((problem) => ({
      steps: parsePath(problem.path).map(stepText),
      misspelt: document.unknownKeys.has(problem),
    })),
  );
  const isThere = (steps: readonly PathStep[]) =>
    documents.some((document) => document.find(steps, 'value')?.depth === steps.length);
  return problems.filter(({ path }) => {
    const own = parsePath(path);
    const steps = own.map(stepText);
    return !holes.some((hole) => {
      const different = hole.steps.findIndex((step, i) => step !== steps[i]);
      if (different === -1) return true; // the hole, or in it
      if (different === steps.length) return hole.steps.length === steps.length + 1; // the message around it
      const siblings = different === hole.steps.length - 1 && steps.length === hole.steps.length;
      return siblings && hole.misspelt && !isThere(own);
    });
  });
}

const stepText = (step: PathStep) => (typeof step === 'object' ? JSON.stringify(step.key) : String(step));

const inOrder = (problems: ConfigProblem[]) =>
  problems.sort((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0));

/**
 * A problem found later (by a factory, deep in the server) with the file, line and column of its path filled in. Paths
 * go through an Any's field (`typed_config.stat_prefix`) without a step of their own.
 */
export function locate(
  loaded: Pick<LoadedConfig<unknown>, 'place' | 'file'>,
  problem: ConfigProblem,
): ConfigProblem {
  if (problem.line !== undefined) return problem;
  const place = loaded.place(problem.path);
  if (place === undefined) return loaded.file === undefined ? problem : { ...problem, file: loaded.file };
  return { ...problem, ...place };
}

/** {@link locate} for every problem of an error. */
export function locateError(
  loaded: Pick<LoadedConfig<unknown>, 'place' | 'file'>,
  error: ConfigError,
): ConfigError {
  return new ConfigError(error.problems.map((problem) => locate(loaded, problem)));
}
