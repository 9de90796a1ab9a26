import { parseArgs } from 'node:util';
import { create, type LayeredRuntime, LayeredRuntimeSchema, locateError, readLoose } from '@dragoman/api';
import { ConfigError, type Extension, formatProblem } from '@dragoman/core';
import { RuntimeLayers } from '@dragoman/server';
import { StatsStore } from '@dragoman/stats';
import { loadRoutes, readFile } from './load-routes.ts';
import { offlineContext } from './offline-context.ts';
import { RouteChecker, type RouteTestResult } from './route-checker.ts';
import { readRouteTests } from './route-tests.ts';

/** Where the command writes. */
export interface CheckSurroundings {
  out(text: string): void;
  err(text: string): void;
  /** Those that a route may name: matchers, retry predicates and so on. */
  readonly extensions: readonly Extension[];
}

const HELP = `Usage: dragoman check-routes -c <path> -t <path> [flags]

Puts requests to a route configuration, without traffic, and compares where they go with what is expected.

  -c, --config-path <path>      A RouteConfiguration, or a bootstrap: .yaml, .json, .pb or .pb_text
  -t, --test-path <path>        The tests: .yaml or .json, as Envoy's route table check tool has them
      --listener-name <name>    Which listener of a bootstrap; needed where several have routes
  -d, --details                 Print the name of every test, and why it failed
      --only-show-failures      Print those that failed
  -f, --fail-under <percent>    Fail when less of the routes is covered by tests
      --covall                  Cover every field of a route, not only some field
      --detailed-coverage       Print the routes without a test
      --disable-deprecation-check  Do not warn of deprecated fields
  -h, --help                    Print this and exit
`;

const OPTIONS = {
  'config-path': { type: 'string', short: 'c' },
  'test-path': { type: 'string', short: 't' },
  'listener-name': { type: 'string' },
  'output-path': { type: 'string', short: 'o' },
  details: { type: 'boolean', short: 'd' },
  'only-show-failures': { type: 'boolean' },
  'fail-under': { type: 'string', short: 'f' },
  covall: { type: 'boolean' },
  'detailed-coverage': { type: 'boolean' },
  'disable-deprecation-check': { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

interface CheckFlags {
  readonly config: string;
  readonly tests: string;
  readonly listener: string | undefined;
  readonly details: boolean;
  readonly onlyFailures: boolean;
  /** Percent; 0: any. */
  readonly failUnder: number;
  readonly comprehensive: boolean;
  readonly detailedCoverage: boolean;
  readonly deprecations: boolean;
}

/**
 * `dragoman check-routes`: Envoy's route table check tool.
 * @param argv what follows `check-routes`
 * @returns the exit code: 1 for wrong flags, files that cannot be read, a test that fails, or coverage that is too low
 */
export function runCheckRoutes(argv: readonly string[], around: CheckSurroundings): number {
  try {
    const flags = readFlags(argv);
    if (flags === undefined) {
      around.out(HELP);
      return 0;
    }
    return check(flags, around);
  } catch (error) {
    if (error instanceof ConfigError)
      around.err(error.problems.map((problem) => `${formatProblem(problem)}\n`).join(''));
    else if (error instanceof UsageError) around.err(`dragoman check-routes: ${error.message}\n`);
    else throw error;
    return 1;
  }
}

class UsageError extends Error {}

/** Undefined: help is wanted. */
function readFlags(argv: readonly string[]): CheckFlags | undefined {
  let values: ReturnType<typeof parse>;
  try {
    values = parse(argv);
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
  if (values.help) return undefined;
  const { 'config-path': config = '', 'test-path': tests = '' } = values;
  if (config === '' || tests === '')
    throw new UsageError('both --config-path (-c) and --test-path (-t) are needed');
  if (values['output-path'] !== undefined)
    throw new UsageError('--output-path (-o) is not supported: results are printed, see --details');
  const failUnder = Number(values['fail-under'] ?? 0);
  if (!(failUnder >= 0 && failUnder <= 100))
    throw new UsageError(`--fail-under ${values['fail-under']}: must be a number from 0 to 100`);
  return {
    config,
    tests,
    listener: values['listener-name'],
    details: values.details ?? false,
    onlyFailures: values['only-show-failures'] ?? false,
    failUnder,
    comprehensive: values.covall ?? false,
    detailedCoverage: values['detailed-coverage'] ?? false,
    deprecations: !(values['disable-deprecation-check'] ?? false),
  };
}

function parse(argv: readonly string[]) {
  return parseArgs({ args: [...argv], options: OPTIONS, strict: true }).values;
}

function check(flags: CheckFlags, { out, err, extensions }: CheckSurroundings): number {
  const routes = loadRoutes(flags.config, flags.listener);
  if (flags.deprecations) for (const warning of routes.warnings) err(`${formatProblem(warning)}\n`);
  const tests = readRouteTests(readFile(flags.tests).toString('utf8'), flags.tests);
  let checker: RouteChecker;
  try {
    const layers = withTestLayer(routes.layeredRuntime, tests.runtime);
    checker = new RouteChecker(
      routes.config,
      offlineContext(extensions, new RuntimeLayers(layers, new StatsStore().createThread())),
      routes.path,
    );
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw locateError(routes.loaded, error);
  }
  const results = tests.tests.map((test) => checker.check(test));
  for (const result of results) print(result, flags, out, err);
  if (results.some(({ failures }) => failures.length > 0)) return 1;

  const { coverage } = checker;
  const percent = flags.comprehensive ? coverage.comprehensivePercent : coverage.percent;
  if (flags.comprehensive || flags.detailedCoverage)
    for (const line of coverage.missing(flags.comprehensive)) out(`${line}\n`);
  // As a C++ stream writes a number.
  out(`Current route coverage: ${Number(percent.toPrecision(6))}%\n`);
  if (percent >= flags.failUnder) return 0;
  err(`Failed to meet coverage requirement: ${flags.failUnder}%\n`);
  return 1;
}

function withTestLayer(
  layered: LayeredRuntime | undefined,
  values: Readonly<Record<string, unknown>>,
): LayeredRuntime | undefined {
  if (Object.keys(values).length === 0) return layered;
  const { layers } = readLoose(LayeredRuntimeSchema, {
    layers: [{ name: 'of the tests', static_layer: values }],
  });
  return create(LayeredRuntimeSchema, { layers: [...(layered?.layers ?? []), ...layers] });
}

/** What failed is on standard error, as Envoy's tool has it. */
function print(
  { name, failures }: RouteTestResult,
  flags: CheckFlags,
  out: CheckSurroundings['out'],
  err: CheckSurroundings['err'],
): void {
  const failed = failures.length > 0;
  if (flags.onlyFailures ? !failed : !flags.details) return;
  if (!failed) out(`${name}\n`);
  else err([name, ...failures, ''].join('\n'));
}
