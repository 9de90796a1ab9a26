import assert from 'node:assert/strict';
import {
  type Host,
  type HostSet,
  type PriorityShares,
  type RetryHostPredicateExtension,
  type RetryPriorityExtension,
  spreadOverPriorities,
} from '@dragoman/core';
import { testContext } from '../test-context.ts';
import { hostSetOf, testHost, testHosts } from './load-balancer.ts';
import { type ConformanceRunner, checkIdentity, type InvalidConfig, refusals } from './runner.ts';

/** What {@link retryHostPredicateConformance} and {@link retryPriorityConformance} are told. */
export interface RetryPolicySubject<E> {
  readonly extension: E;
  /** A typed config that is valid; undefined where none is needed. */
  readonly config: unknown;
  readonly invalid?: readonly InvalidConfig[];
}

/** Hosts `10.<priority>.0.1:80`, … of one priority, the first of them healthy, the next degraded. */
export function testHostSet(priority: number, count: number, healthy = count, degraded = 0): HostSet {
  const hosts = Array.from(
    { length: count },
    (_, i): Host => ({ ...testHost(`10.${priority}.0.${i + 1}:80`), priority }),
  );
  const healthyHosts = hosts.slice(0, healthy);
  return hostSetOf(hosts, {
    priority,
    healthyHosts,
    degradedHosts: hosts.slice(healthy, healthy + degraded),
    healthyHostsByLocality: [healthyHosts],
  });
}

/** Registers the tests that every retry host predicate has to pass: identity, configs, one state for each request. */
export function retryHostPredicateConformance(
  runner: ConformanceRunner,
  subject: RetryPolicySubject<RetryHostPredicateExtension>,
): void {
  const { describe, it } = runner;
  const { extension } = subject;
  const create = (config: unknown = subject.config) => extension.create(config as never, testContext());

  describe(`${extension.name} keeps the contract of retry host predicates`, () => {
    it('is a retry host predicate', () => {
      checkIdentity(extension, 'retry-policies');
      assert.equal(extension.kind, 'host-predicate');
    });

    refusals(runner, subject.invalid, (config) => create(config));

    it('keeps requests apart', () => {
      const perRequest = create();
      const [host, other] = testHosts(2);
      const fresh = [perRequest().shouldSkip(host), perRequest().shouldSkip(other)];
      const used = perRequest();
      used.onHostAttempted(host);
      const next = perRequest();
      assert.deepEqual([next.shouldSkip(host), next.shouldSkip(other)], fresh);
    });

    it('answers the same until another host is tried', () => {
      const predicate = create()();
      const [host] = testHosts(1);
      predicate.onHostAttempted(host);
      assert.equal(predicate.shouldSkip(host), predicate.shouldSkip(host));
    });
  });
}

/** Registers the tests that every retry priority has to pass: identity, configs, shares that add up, one state for each request. */
export function retryPriorityConformance(
  runner: ConformanceRunner,
  subject: RetryPolicySubject<RetryPriorityExtension>,
): void {
  const { describe, it } = runner;
  const { extension } = subject;
  const create = (config: unknown = subject.config) => extension.create(config as never, testContext());
  const original: PriorityShares = spreadOverPriorities([100, 100, 100], [0, 0, 0], 100);

  describe(`${extension.name} keeps the contract of retry priorities`, () => {
    it('is a retry priority', () => {
      checkIdentity(extension, 'retry-policies');
      assert.equal(extension.kind, 'priority');
    });

    refusals(runner, subject.invalid, (config) => create(config));

    it('gives shares of 100 in all, one for each priority, whatever was tried', () => {
      const sets = [testHostSet(0, 3, 1, 1), testHostSet(1, 2), testHostSet(2, 1)];
      const priority = create()();
      for (let i = 0; i < 20; i++) {
        const { healthy, degraded } = priority.shares(sets, original);
        assert.deepEqual([healthy.length, degraded.length], [3, 3]);
        const sum = [...healthy, ...degraded].reduce((all, part) => all + part, 0);
        assert.equal(sum, 100);
        priority.onHostAttempted(sets[i % 3].hosts[0]);
      }
    });

    it('leaves the load as it is when no host is well', () => {
      const sets = [testHostSet(0, 2, 0), testHostSet(1, 2, 0)];
      const priority = create()();
      for (let i = 0; i < 6; i++) priority.onHostAttempted(sets[i % 2].hosts[0]);
      assert.equal(priority.shares(sets, original), original);
    });

    it('keeps requests apart', () => {
      const sets = [testHostSet(0, 1), testHostSet(1, 1), testHostSet(2, 1)];
      const perRequest = create();
      const before = perRequest().shares(sets, original);
      const used = perRequest();
      for (let i = 0; i < 3; i++) used.onHostAttempted(sets[i].hosts[0]);
      used.shares(sets, original);
      assert.deepEqual(perRequest().shares(sets, original), before);
    });
  });
}
