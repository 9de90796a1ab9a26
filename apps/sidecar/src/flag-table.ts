import { DEFAULT_LOG_PATTERN } from '@dragoman/server';

/** One flag of the command line. The parser, `--help` and the README's table are made from these. */
export interface FlagSpec {
  /** Without the two dashes. */
  readonly name: string;
  /** One letter, without the dash. */
  readonly short?: string;
  /** What stands for the value in `--help`; undefined: a switch. */
  readonly value?: string;
  /** May be given several times. */
  readonly repeated?: boolean;
  readonly help: string;
  /** As `--help` prints it. */
  readonly default?: string;
  /** Accepted for the sake of command lines written for Envoy: why it does nothing here. Warned about once. */
  readonly ignored?: string;
}

const NO_SHARED_NAMES = 'the supervisor passes everything on itself: nothing has a name that could collide';

/** Envoy's flags, grouped as `--help` prints them. */
export const FLAG_TABLE = [
  {
    name: 'config-path',
    short: 'c',
    value: 'path',
    help: 'Configuration file: .yaml, .json, .pb or .pb_text',
  },
  {
    name: 'config-yaml',
    value: 'yaml',
    help: 'Configuration as YAML or JSON; merged over that of --config-path',
  },
  {
    name: 'mode',
    value: 'mode',
    default: 'serve',
    help: 'serve; validate: check the configuration and exit; init_only: start, bind no listener and exit',
  },
  {
    name: 'log-level',
    short: 'l',
    value: 'level',
    default: 'info',
    help: 'trace, debug, info, warning, error, critical or off',
  },
  {
    name: 'component-log-level',
    value: 'name:level,...',
    help: 'Log levels of single components, e.g. upstream:debug,config:trace',
  },
  {
    name: 'log-path',
    value: 'path',
    help: 'File to append the log to; reopened on SIGUSR1 and /reopen_logs',
    default: 'stderr',
  },
  {
    name: 'log-format',
    value: 'format',
    default: DEFAULT_LOG_PATTERN,
    help: 'Layout of log lines in the syntax of spdlog, or json',
  },
  { name: 'log-format-escaped', help: 'Escape backslashes and quotes in log messages too' },
  { name: 'skip-deprecated-logs', help: 'Do not warn of deprecated fields' },
  { name: 'log-stacktrace-single-entry', help: 'Keep a stack trace in one log line (always so)' },
  { name: 'concurrency', value: 'number', help: 'Number of worker threads; 0 is 1', default: 'the CPUs' },
  {
    name: 'in-thread',
    help: 'Serve on the main thread instead of on worker threads; not one of Envoy',
  },
  {
    name: 'config-history',
    value: 'number',
    default: '20',
    help: 'Versions of each resource of config sources that /config_history keeps; 0: none; not one of Envoy',
  },
  { name: 'service-cluster', value: 'name', help: 'Name of this cluster; overrides node.cluster' },
  { name: 'service-node', value: 'name', help: 'Name of this node; overrides node.id' },
  { name: 'service-zone', value: 'name', help: 'Zone of this node; overrides node.locality.zone' },
  {
    name: 'local-address-ip-version',
    value: 'v4|v6',
    default: 'v4',
    help: 'Which address of this machine stands for it in x-forwarded-for',
  },
  { name: 'admin-address-path', value: 'path', help: 'File to write the bound admin address to' },
  {
    name: 'drain-time-s',
    value: 'seconds',
    default: '600; 25 on SIGTERM',
    help: 'How long connections are drained before they are closed',
  },
  {
    name: 'drain-strategy',
    value: 'gradual|immediate',
    default: 'gradual',
    help: 'Ask connections to close more and more often over the drain time, or all of them at once',
  },
  {
    name: 'file-flush-interval-msec',
    value: 'ms',
    default: '10000',
    help: 'How long an access-log entry waits to be written',
  },
  {
    name: 'disable-extensions',
    value: 'name,...',
    help: 'Extensions to leave out, as category/name or name',
  },
  {
    name: 'stats-tag',
    value: 'tag:value',
    repeated: true,
    help: 'A tag for every stat; may be given several times',
  },
  {
    name: 'allow-unknown-static-fields',
    help: 'Unknown fields of the configuration are warnings, not errors',
  },
  { name: 'allow-unknown-fields', help: 'The same; deprecated' },
  { name: 'version', help: 'Print the version and exit' },
  { name: 'help', short: 'h', help: 'Print this and exit' },
  {
    name: 'hot-restart-version',
    help: 'Print which processes may take over from one another, and exit',
  },
  {
    name: 'parent-shutdown-time-s',
    value: 'seconds',
    default: '900',
    help: 'How long a process that was replaced may take to end; read by dragoman supervise',
  },
  { name: 'restart-epoch', value: 'number', default: '0', help: 'Set by dragoman supervise' },
  {
    name: 'base-id',
    value: 'number',
    default: '0',
    help: 'A number for this proxy, for /server_info and --base-id-path',
  },
  { name: 'use-dynamic-base-id', help: 'Choose that number' },
  { name: 'base-id-path', value: 'path', help: 'File to write that number to' },
  { name: 'disable-hot-restart', help: 'No hot restart' },
  {
    name: 'skip-hot-restart-on-no-parent',
    help: 'Start with a --restart-epoch above 0 though nobody is there to take over from',
  },
  { name: 'skip-hot-restart-parent-stats', help: 'Count from 0 after a hot restart' },
  { name: 'socket-path', value: 'path', help: 'Socket for hot restart', ignored: NO_SHARED_NAMES },
  { name: 'socket-mode', value: 'mode', help: 'Mode of that socket', ignored: NO_SHARED_NAMES },
  {
    name: 'reject-unknown-dynamic-fields',
    help: 'Refuse resources of config sources with fields that the API does not have',
  },
  {
    name: 'ignore-unknown-dynamic-fields',
    help: 'Pass over such fields without counting or warning',
  },
  {
    name: 'file-flush-min-size-kb',
    value: 'KiB',
    default: '64',
    help: 'How much of an access log is gathered before it is written, however fast it comes',
  },
  {
    name: 'bootstrap-version',
    value: '3',
    help: 'Version of the API',
    ignored: 'the only version of the API is 3',
  },
  {
    name: 'cpuset-threads',
    help: 'Count the CPUs of the cpuset',
    ignored: 'the CPUs that the process may use are counted always',
  },
  {
    name: 'enable-mutex-tracing',
    help: 'Stats of lock contention',
    ignored: 'there are no locks to trace',
  },
  {
    name: 'enable-fine-grain-logging',
    help: 'A logger for each source file',
    ignored: 'there is one logger for each component',
  },
  {
    name: 'enable-core-dump',
    help: 'Core dumps',
    ignored: 'the limits of the process decide on core dumps (ulimit -c)',
  },
] as const satisfies readonly FlagSpec[];

export type FlagName = (typeof FLAG_TABLE)[number]['name'];
