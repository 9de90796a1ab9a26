import assert from 'node:assert/strict';
import { ConfigError, type ExtensionBase } from '@dragoman/core';

/** The test runner's own functions: `{ describe, it }` of vitest, or of `node:test`. */
export interface ConformanceRunner {
  describe(name: string, body: () => void): unknown;
  it(name: string, body: () => void | Promise<void>): unknown;
}

/** A config that must be refused. */
export interface InvalidConfig {
  /** What is wrong with it; the test's name. */
  readonly name: string;
  /** The typed message. */
  readonly config: unknown;
  /** Path that one of the problems must carry; absent: any. */
  readonly path?: string;
}

/** What every kit asks of an extension before anything else. */
export function checkIdentity(extension: ExtensionBase, category: ExtensionBase['category']): void {
  assert.equal(extension.category, category);
  assert.match(extension.name, /^[\w-]+(\.[\w-]+)+$/, 'a name has the form envoy.filters.http.router');
  assert.notEqual(extension.config, undefined, 'a config message is declared');
}

/** Registers one test for each config that must be refused. */
export function refusals(
  { it }: ConformanceRunner,
  invalid: readonly InvalidConfig[] | undefined,
  create: (config: never) => unknown,
): void {
  for (const { name, config, path } of invalid ?? []) {
    it(`refuses ${name} with a ConfigError`, () => {
      const error = thrownBy(() => create(config as never));
      assert.ok(error instanceof ConfigError, `expected a ConfigError, got ${String(error)}`);
      assert.ok(error.problems.length > 0);
      for (const problem of error.problems) assert.notEqual(problem.message, '');
      if (path !== undefined) {
        const paths = error.problems.map((problem) => problem.path);
        assert.ok(paths.includes(path), `no problem at ${path}, but at ${paths.join(', ')}`);
      }
    });
  }
}

function thrownBy(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  return undefined;
}

/** Lets every promise that can settle without I/O do so. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Longer than any timeout of a filter: what is still armed after it has fired. */
export const LONG_MS = 24 * 3600 * 1000;
