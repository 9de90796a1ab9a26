import { CommandLineOptionsSchema, fromJson, type JsonValue } from '@dragoman/api';
import { DEFAULT_LOG_PATTERN } from '@dragoman/server';
import { describe, expect, test } from 'vitest';
import { commandLineOptions } from '../src/command-line-options.ts';
import { FLAG_TABLE, type FlagSpec } from '../src/flag-table.ts';
import { FlagError, type Flags, parseFlags } from '../src/flags.ts';
import { helpText } from '../src/help.ts';

const SPECS: readonly FlagSpec[] = FLAG_TABLE;
const WARNED = SPECS.filter(({ ignored }) => ignored !== undefined);
/** A value that each flag takes. */
const VALUES: Readonly<Record<string, string>> = {
  mode: 'validate',
  'log-level': 'debug',
  'component-log-level': 'upstream:debug',
  'local-address-ip-version': 'v6',
  'drain-strategy': 'immediate',
  'stats-tag': 'pod:a',
  'bootstrap-version': '3',
  'socket-mode': '600',
};
const sample = (spec: FlagSpec) => VALUES[spec.name] ?? '7';

describe('values', () => {
  test.each<[string[], Partial<Flags>]>([
    [
      [],
      {
        action: 'run',
        configPath: undefined,
        configYaml: undefined,
        mode: 'serve',
        logLevel: 'info',
        componentLevels: {},
        logPath: undefined,
        logFormat: undefined,
        logFormatEscaped: false,
        skipDeprecatedLogs: false,
        concurrency: undefined,
        serviceCluster: undefined,
        localAddressIpVersion: 'v4',
        drainTimeS: undefined,
        drainStrategy: 'gradual',
        parentShutdownTimeS: 900,
        fileFlushIntervalMs: 10_000,
        fileFlushMinSizeKb: 64,
        disabledExtensions: [],
        statsTags: [],
        allowUnknownStaticFields: false,
        warnings: [],
      },
    ],
    [['-c', 'envoy.yaml'], { configPath: 'envoy.yaml' }],
    [['--config-path', 'envoy.yaml'], { configPath: 'envoy.yaml' }],
    [['--config-path=a=b.yaml'], { configPath: 'a=b.yaml' }],
    [['-c=envoy.yaml'], { configPath: 'envoy.yaml' }],
    [['--config-yaml', '--- {}'], { configYaml: '--- {}' }],
    [['--service-node', '-c'], { serviceNode: '-c', configPath: undefined }],
    [['--mode', 'validate'], { mode: 'validate' }],
    [['--mode=init_only'], { mode: 'init_only' }],
    [['-l', 'trace'], { logLevel: 'trace' }],
    [['--log-level', 'warn'], { logLevel: 'warning' }],
    [['--log-level', 'off'], { logLevel: 'off' }],
    [
      ['--component-log-level', 'upstream:debug,config:warn'],
      {
        componentLevels: { upstream: 'debug', config: 'warning' },
        componentLogLevel: 'upstream:debug,config:warn',
      },
    ],
    [['--component-log-level='], { componentLevels: {} }],
    [
      ['--log-path', '/tmp/x', '--log-format', 'json', '--log-format-escaped'],
      { logPath: '/tmp/x', logFormat: 'json', logFormatEscaped: true },
    ],
    [['--concurrency', '0'], { concurrency: 1 }],
    [['--concurrency', '16'], { concurrency: 16 }],
    [
      ['--service-cluster', 'c', '--service-node', 'n', '--service-zone', 'z'],
      { serviceCluster: 'c', serviceNode: 'n', serviceZone: 'z' },
    ],
    [['--drain-time-s', '0', '--drain-strategy', 'immediate'], { drainTimeS: 0, drainStrategy: 'immediate' }],
    [['--drain-time-s', '4294967295'], { drainTimeS: 4_294_967_295 }],
    [['--admin-address-path', 'a'], { adminAddressPath: 'a' }],
    [['--local-address-ip-version', 'v6'], { localAddressIpVersion: 'v6' }],
    [['--disable-extensions', 'a/b,,c'], { disabledExtensions: ['a/b', 'c'] }],
    [
      ['--stats-tag', 'pod:a-1', '--stats-tag=zone:b:c'],
      {
        statsTags: [
          { name: 'pod', value: 'a-1' },
          { name: 'zone', value: 'b:c' },
        ],
      },
    ],
    [['--allow-unknown-static-fields'], { allowUnknownStaticFields: true, warnings: [] }],
    [['--file-flush-interval-msec', '100'], { fileFlushIntervalMs: 100 }],
    [['--file-flush-min-size-kb', '1'], { fileFlushMinSizeKb: 1 }],
    [['--skip-deprecated-logs'], { skipDeprecatedLogs: true, warnings: [] }],
    [['--version'], { action: 'version' }],
    [['--version', '-h'], { action: 'help' }],
    [['--help'], { action: 'help' }],
    [['--hot-restart-version'], { action: 'hot-restart-version' }],
    [['-c', 'a', '--', 'what', '--ever'], { configPath: 'a' }],
    [['-c', 'a', '--ignore_rest', '-c'], { configPath: 'a' }],
  ])('%j', (argv, expected) => {
    expect(parseFlags(argv)).toMatchObject(expected);
  });

  test.each(SPECS.map((spec) => [spec.name, spec] as const))('--%s is read in both forms', (name, spec) => {
    const apart = parseFlags(spec.value === undefined ? [`--${name}`] : [`--${name}`, sample(spec)]);
    expect([...apart.given]).toEqual([name]);
    if (spec.value === undefined) return;
    expect(parseFlags([`--${name}=${sample(spec)}`])).toEqual(apart);
  });
});

describe('flags without effect', () => {
  test.each(WARNED.map((spec) => [spec.name, spec] as const))('--%s: one warning', (name, spec) => {
    const { warnings } = parseFlags(spec.value === undefined ? [`--${name}`] : [`--${name}`, sample(spec)]);
    expect(warnings).toEqual([`--${name} has no effect: ${spec.ignored}`]);
  });

  test('the deprecated one acts, and says what to use', () => {
    const flags = parseFlags(['--allow-unknown-fields']);
    expect(flags.allowUnknownStaticFields).toBe(true);
    expect(flags.warnings).toEqual([
      '--allow-unknown-fields is deprecated: use --allow-unknown-static-fields',
    ]);
  });
});

describe('refused', () => {
  test.each([
    [['--confg-path', 'x'], 'unknown flag --confg-path; did you mean "--config-path"?'],
    [['--config_path=x'], 'unknown flag --config_path; did you mean "--config-path"?'],
    [['-version'], 'unknown flag -version; did you mean "--version"?'],
    [['-x'], 'unknown flag -x; --help lists all'],
    [['--frobnicate-everything'], 'unknown flag --frobnicate-everything; --help lists all'],
    [['--max-stats', '1'], 'unknown flag --max-stats; --help lists all'],
    [['envoy.yaml'], 'unexpected argument "envoy.yaml": a configuration is given with -c <path>'],
    [['-'], 'unexpected argument "-"'],
    [['-c'], '-c needs a value: <path>'],
    [['--mode'], '--mode needs a value: <mode>'],
    [['-c', 'a', '--config-path', 'b'], '--config-path is given twice'],
    [['--version', '--version'], '--version is given twice'],
    [['--version=1'], '--version takes no value'],
    [
      ['--mode', 'serv'],
      '--mode must be one of serve, validate, init_only, is "serv"; did you mean "serve"?',
    ],
    [['-l', 'verbose'], '--log-level: the level must be one of trace, debug, info, warning,'],
    [['-l', 'debig'], 'did you mean "debug"?'],
    [['--concurrency', '-1'], '--concurrency must be a whole number from 0 to 4294967295, is "-1"'],
    [['--concurrency', '1.5'], 'is "1.5"'],
    [['--concurrency', ''], 'is ""'],
    [['--drain-time-s', '4294967296'], 'is "4294967296"'],
    [['--restart-epoch', 'x'], 'is "x"'],
    [['--file-flush-min-size-kb', '1k'], 'is "1k"'],
    [['--local-address-ip-version', '4'], '--local-address-ip-version must be one of v4, v6, is "4"'],
    [['--drain-strategy', 'gradually'], 'did you mean "gradual"?'],
    [['--component-log-level', 'upstream'], '"upstream" is not of the form name:level'],
    [['--component-log-level', 'a:b:c'], '"a:b:c" is not of the form name:level'],
    [['--component-log-level', 'upstraem:debug'], 'no component "upstraem"; did you mean "upstream"?'],
    [['--component-log-level', 'upstream:loud'], '--component-log-level: upstream: the level must be'],
    [['--component-log-level', '__proto__:info'], 'there is no component "__proto__"'],
    [['--stats-tag', 'pod'], '--stats-tag "pod" is not of the form tag:value'],
    [['--stats-tag', 'po_d:a'], 'a tag of letters and digits'],
    [['--stats-tag', 'pod:'], 'is not of the form'],
    [['--stats-tag', 'pod:a.b'], 'the value must not have a "." in it'],
    [['--stats-tag', 'pod:a', '--stats-tag', 'pod:b'], '--stats-tag "pod" is given twice'],
    [['--bootstrap-version', '2'], 'the only version of the API is 3'],
    [['--socket-mode', '0o600'], '--socket-mode must be an octal number'],
  ])('%j', (argv, message) => {
    expect(() => parseFlags(argv)).toThrow(FlagError);
    expect(() => parseFlags(argv)).toThrow(message);
  });
});

test('--help has every flag, within 100 columns', () => {
  const help = helpText();
  for (const { name, short, value } of SPECS) {
    expect(help).toContain(
      `${short === undefined ? '    ' : `-${short}, `}--${name}${value === undefined ? '' : ` <${value}>`}`,
    );
  }
  expect(help).toContain('info)');
  for (const line of help.split('\n')) expect(line.length).toBeLessThanOrEqual(100);
  expect(help.endsWith('\n')).toBe(true);
});

test('/server_info gets them as envoy.admin.v3.CommandLineOptions', () => {
  const read = (argv: string[]) =>
    fromJson(CommandLineOptionsSchema, commandLineOptions(parseFlags(argv), 7) as JsonValue);
  const all = SPECS.flatMap((spec) =>
    spec.value === undefined ? [`--${spec.name}`] : [`--${spec.name}`, sample(spec)],
  );
  expect(read(all)).toMatchObject({
    baseId: 7n,
    restartEpoch: 7,
    concurrency: 7,
    configPath: '7',
    mode: 1,
    localAddressIpVersion: 1,
    drainStrategy: 1,
    logLevel: 'debug',
    componentLogLevel: 'upstream:debug',
    drainTime: { seconds: 7n },
    parentShutdownTime: { seconds: 7n },
    fileFlushInterval: { seconds: 0n, nanos: 7_000_000 },
    disabledExtensions: ['7'],
    statsTag: ['pod:a'],
    allowUnknownStaticFields: true,
    rejectUnknownDynamicFields: true,
    cpusetThreads: true,
  });
  expect(read([])).toMatchObject({
    drainTime: { seconds: 600n },
    parentShutdownTime: { seconds: 900n },
    fileFlushInterval: { seconds: 10n },
    logFormat: DEFAULT_LOG_PATTERN,
    logLevel: 'info',
    mode: 0,
  });
});
