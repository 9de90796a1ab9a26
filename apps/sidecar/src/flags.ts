import { nearest } from '@dragoman/api';
import { LOG_LEVELS, type LogLevel } from '@dragoman/core';
import { LOG_COMPONENTS } from '@dragoman/server';
import { FLAG_TABLE, type FlagName, type FlagSpec } from './flag-table.ts';

/** What the command line asks for besides serving. */
export type Action = 'run' | 'help' | 'version' | 'hot-restart-version';

/** The command line, read and checked. A field that is undefined was not given. */
export interface Flags {
  readonly action: Action;
  readonly configPath: string | undefined;
  readonly configYaml: string | undefined;
  readonly mode: 'serve' | 'validate' | 'init_only';
  readonly logLevel: LogLevel;
  /** As given, for `/server_info`. */
  readonly componentLogLevel: string | undefined;
  readonly componentLevels: Readonly<Record<string, LogLevel>>;
  readonly logPath: string | undefined;
  readonly logFormat: string | undefined;
  readonly logFormatEscaped: boolean;
  readonly skipDeprecatedLogs: boolean;
  /** At least 1. */
  readonly concurrency: number | undefined;
  readonly serviceCluster: string | undefined;
  readonly serviceNode: string | undefined;
  readonly serviceZone: string | undefined;
  readonly localAddressIpVersion: 'v4' | 'v6';
  readonly adminAddressPath: string | undefined;
  readonly drainTimeS: number | undefined;
  readonly drainStrategy: 'gradual' | 'immediate';
  readonly parentShutdownTimeS: number;
  readonly fileFlushIntervalMs: number;
  readonly fileFlushMinSizeKb: number;
  readonly disabledExtensions: readonly string[];
  readonly statsTags: readonly { readonly name: string; readonly value: string }[];
  readonly allowUnknownStaticFields: boolean;
  /** Strict goes before lax, as in Envoy. */
  readonly unknownDynamicFields: 'warn' | 'reject' | 'ignore';
  /** 0: none. */
  readonly configHistory: number;
  /** Serve on the main thread. */
  readonly inThread: boolean;
  readonly restartEpoch: number;
  /** Undefined: it is to be chosen. */
  readonly baseId: number | undefined;
  readonly baseIdPath: string | undefined;
  readonly disableHotRestart: boolean;
  readonly skipHotRestartOnNoParent: boolean;
  readonly skipHotRestartParentStats: boolean;
  /** Every flag that was given. */
  readonly given: ReadonlySet<FlagName>;
  /** What was accepted without effect. */
  readonly warnings: readonly string[];
}

/** A command line that cannot be used. */
export class FlagError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'FlagError';
  }
}

const MAX_UINT32 = 2 ** 32 - 1;
const SPECS: readonly FlagSpec[] = FLAG_TABLE;
const BY_NAME = new Map(SPECS.map((spec) => [spec.name, spec]));
const BY_LETTER = new Map(SPECS.flatMap((spec) => (spec.short === undefined ? [] : [[spec.short, spec]])));

/**
 * Reads a command line as Envoy does: each flag once, `--flag value` (whatever the value looks like) or `--flag=value`,
 * nothing besides flags; what follows `--` is not looked at.
 *
 * @param argv without the interpreter and the script
 * @throws FlagError
 */
export function parseFlags(argv: readonly string[]): Flags {
  return readFlags(collect(argv));
}

type Given = ReadonlyMap<FlagName, readonly string[]>;

function collect(argv: readonly string[]): Given {
  const given = new Map<FlagName, string[]>();
  for (let at = 0; at < argv.length; at++) {
    const argument = argv[at];
    if (argument === '--' || argument === '--ignore_rest') break;
    const { spec, written, attached } = recognise(argument);
    const name = spec.name as FlagName;
    let value = attached;
    if (spec.value === undefined) {
      if (attached !== undefined) throw new FlagError(`${written} takes no value`);
      value = '';
    } else if (value === undefined) {
      value = argv[++at];
      if (value === undefined) throw new FlagError(`${written} needs a value: <${spec.value}>`);
    }
    const values = given.get(name);
    if (values === undefined) given.set(name, [value]);
    else if (spec.repeated === true) values.push(value);
    else throw new FlagError(`--${name} is given twice`);
  }
  return given;
}

function recognise(argument: string): { spec: FlagSpec; written: string; attached: string | undefined } {
  const equals = argument.indexOf('=');
  const written = equals < 0 ? argument : argument.slice(0, equals);
  const attached = equals < 0 ? undefined : argument.slice(equals + 1);
  if (!written.startsWith('-') || written === '-') {
    throw new FlagError(`unexpected argument "${argument}": a configuration is given with -c <path>`);
  }
  if (written.startsWith('--')) {
    const spec = BY_NAME.get(written.slice(2));
    if (spec !== undefined) return { spec, written, attached };
    throw unknown(written, written.slice(2));
  }
  const spec = BY_LETTER.get(written.slice(1));
  if (spec !== undefined) return { spec, written, attached };
  throw unknown(written, BY_NAME.has(written.slice(1)) ? written.slice(1) : '');
}

/** Versions of a resource. */
const DEFAULT_HISTORY = 20;

function unknown(written: string, name: string): FlagError {
  const near = name === '' ? undefined : nearest(name, BY_NAME.keys());
  return new FlagError(
    `unknown flag ${written}${near === undefined ? '; --help lists all' : `; did you mean "--${near}"?`}`,
  );
}

function readFlags(given: Given): Flags {
  const text = (name: FlagName): string | undefined => given.get(name)?.[0];
  const number = (name: FlagName): number | undefined => readNumber(name, text(name));
  const drainTimeS = number('drain-time-s');
  const concurrency = number('concurrency');
  const componentLogLevel = text('component-log-level');
  const version = number('bootstrap-version');
  if (version !== undefined && version !== 3) {
    throw new FlagError(`--bootstrap-version ${version}: the only version of the API is 3`);
  }
  if (given.has('socket-mode') && !/^[0-7]+$/.test(text('socket-mode') as string)) {
    throw new FlagError(`--socket-mode must be an octal number, is "${text('socket-mode')}"`);
  }
  return {
    action: given.has('help')
      ? 'help'
      : given.has('version')
        ? 'version'
        : given.has('hot-restart-version')
          ? 'hot-restart-version'
          : 'run',
    configPath: text('config-path'),
    configYaml: text('config-yaml'),
    mode: oneOf('mode', text('mode'), ['serve', 'validate', 'init_only']),
    logLevel: readLevel('--log-level', text('log-level') ?? 'info'),
    componentLogLevel,
    componentLevels: readComponentLevels(componentLogLevel ?? ''),
    logPath: text('log-path'),
    logFormat: text('log-format'),
    logFormatEscaped: given.has('log-format-escaped'),
    skipDeprecatedLogs: given.has('skip-deprecated-logs'),
    concurrency: concurrency === undefined ? undefined : Math.max(1, concurrency),
    serviceCluster: text('service-cluster'),
    serviceNode: text('service-node'),
    serviceZone: text('service-zone'),
    localAddressIpVersion: oneOf('local-address-ip-version', text('local-address-ip-version'), ['v4', 'v6']),
    adminAddressPath: text('admin-address-path'),
    drainTimeS,
    drainStrategy: oneOf('drain-strategy', text('drain-strategy'), ['gradual', 'immediate']),
    parentShutdownTimeS: number('parent-shutdown-time-s') ?? 900,
    fileFlushIntervalMs: number('file-flush-interval-msec') ?? 10_000,
    fileFlushMinSizeKb: number('file-flush-min-size-kb') ?? 64,
    disabledExtensions: list(text('disable-extensions')),
    statsTags: readStatsTags(given.get('stats-tag') ?? []),
    allowUnknownStaticFields: given.has('allow-unknown-static-fields') || given.has('allow-unknown-fields'),
    unknownDynamicFields: given.has('reject-unknown-dynamic-fields')
      ? 'reject'
      : given.has('ignore-unknown-dynamic-fields')
        ? 'ignore'
        : 'warn',
    restartEpoch: number('restart-epoch') ?? 0,
    configHistory: number('config-history') ?? DEFAULT_HISTORY,
    inThread: given.has('in-thread'),
    baseId: given.has('use-dynamic-base-id') ? undefined : (number('base-id') ?? 0),
    baseIdPath: text('base-id-path'),
    disableHotRestart: given.has('disable-hot-restart'),
    skipHotRestartOnNoParent: given.has('skip-hot-restart-on-no-parent'),
    skipHotRestartParentStats: given.has('skip-hot-restart-parent-stats'),
    given: new Set(given.keys()),
    warnings: warningsFor(given),
  };
}

function warningsFor(given: Given): string[] {
  const warnings: string[] = [];
  for (const name of given.keys()) {
    const { ignored } = BY_NAME.get(name) as FlagSpec;
    if (ignored !== undefined) warnings.push(`--${name} has no effect: ${ignored}`);
    if (name === 'allow-unknown-fields') {
      warnings.push('--allow-unknown-fields is deprecated: use --allow-unknown-static-fields');
    }
  }
  return warnings;
}

const list = (text: string | undefined): string[] => (text ?? '').split(',').filter((part) => part !== '');

function readNumber(name: FlagName, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (value <= MAX_UINT32) return value;
  throw new FlagError(`--${name} must be a whole number from 0 to ${MAX_UINT32}, is "${text}"`);
}

/** One of `choices`; the first by default. */
function oneOf<T extends string>(name: FlagName, text: string | undefined, choices: readonly T[]): T {
  if (text === undefined) return choices[0];
  const found = choices.find((choice) => choice === text);
  if (found !== undefined) return found;
  throw new FlagError(`--${name} must be one of ${choices.join(', ')}, is "${text}"${meant(text, choices)}`);
}

function meant(text: string, choices: readonly string[]): string {
  const near = nearest(text, choices);
  return near === undefined ? '' : `; did you mean "${near}"?`;
}

function readLevel(what: string, text: string): LogLevel {
  const level = text === 'warn' ? 'warning' : text;
  const found = LOG_LEVELS.find((candidate) => candidate === level);
  if (found !== undefined) return found;
  throw new FlagError(
    `${what}: the level must be one of ${LOG_LEVELS.join(', ')}, is "${text}"${meant(text, LOG_LEVELS)}`,
  );
}

function readComponentLevels(text: string): Record<string, LogLevel> {
  const levels: Record<string, LogLevel> = {};
  const names: readonly string[] = LOG_COMPONENTS;
  for (const pair of list(text)) {
    const [name, level, more] = pair.split(':');
    if (level === undefined || more !== undefined) {
      throw new FlagError(`--component-log-level: "${pair}" is not of the form name:level`);
    }
    if (!names.includes(name)) {
      throw new FlagError(`--component-log-level: there is no component "${name}"${meant(name, names)}`);
    }
    levels[name] = readLevel(`--component-log-level: ${name}`, level);
  }
  return levels;
}

function readStatsTags(given: readonly string[]): { name: string; value: string }[] {
  const tags = new Map<string, string>();
  for (const text of given) {
    const colon = text.indexOf(':');
    const name = text.slice(0, Math.max(0, colon));
    const value = text.slice(colon + 1);
    // Envoy's bounds: a name goes into Prometheus as it is, a dot would end a part of a stat's name.
    if (!/^[A-Za-z0-9]+$/.test(name) || value === '') {
      throw new FlagError(
        `--stats-tag "${text}" is not of the form tag:value with a tag of letters and digits`,
      );
    }
    if (value.includes('.'))
      throw new FlagError(`--stats-tag "${text}": the value must not have a "." in it`);
    if (tags.has(name)) throw new FlagError(`--stats-tag "${name}" is given twice`);
    tags.set(name, value);
  }
  return Array.from(tags, ([name, value]) => ({ name, value }));
}
