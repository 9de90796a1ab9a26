import { BoolValueSchema } from '@bufbuild/protobuf/wkt';
import { defineRetryHostPredicate, defineRetryPriority, type Host } from '@dragoman/core';
import { testHosts } from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { Rig, type RigOptions } from './rig.ts';

const seen: string[] = [];
const skipFirst = defineRetryHostPredicate({
  name: 'test.skip_first',
  config: BoolValueSchema,
  create: () => () => {
    seen.push('made');
    return {
      shouldSkip: (host: Host) => host.address.text === '10.0.0.1:80',
      onHostAttempted: (host: Host) => void seen.push(host.address.text),
    };
  },
});
const toSecond = defineRetryPriority({
  name: 'test.to_second',
  config: BoolValueSchema,
  create: () => () => ({
    shares: () => ({ healthy: [0, 100], degraded: [0, 0] }),
    onHostAttempted: (host: Host) => void seen.push(`priority ${host.address.text}`),
  }),
});
// Both take a BoolValue here: the registry tells extensions of a category apart by their types.
const byName = (name: string) => ({ name });

const options = (policy: object): RigOptions => ({
  action: { retry_policy: { retry_on: '5xx,connect-failure', num_retries: 3, ...policy } },
  extensions: [skipFirst, { ...toSecond, config: undefined as never }],
});

describe('where a retry goes', () => {
  test('predicates judge retries, not the first try, and hear of each host', () => {
    seen.length = 0;
    const rig = new Rig(
      options({ retry_host_predicate: [byName('test.skip_first')], host_selection_retry_max_attempts: 4 }),
    ).request();
    rig.last.ready().respond({ ':status': '503' });
    rig.backOff().fail('remote-connection-failure');
    rig.backOff().fail('overflow');
    expect(seen).toEqual(['made', '10.0.0.1:80', '10.0.0.2:80']);
    const [first, second] = rig.choices;
    const [one, other] = testHosts(2);
    expect(first.shouldSkip?.(one)).toBeUndefined();
    expect([second.shouldSkip?.(one), second.shouldSkip?.(other), second.hostSelectionAttempts]).toEqual([
      true,
      false,
      4,
    ]);
    expect([second.hash, second.requestHeaders, second.info]).toEqual([
      first.hash,
      first.requestHeaders,
      first.info,
    ]);
  });

  test('one draw more is made unless the policy says otherwise', () => {
    const rig = new Rig(options({ retry_host_predicate: [byName('test.skip_first')] })).request();
    rig.last.ready().respond({ ':status': '503' });
    rig.backOff();
    expect(rig.choices[1].hostSelectionAttempts).toBe(1);
  });

  test('a priority spreads retries, not the first try', () => {
    seen.length = 0;
    const rig = new Rig(options({ retry_priority: byName('test.to_second') })).request();
    const original = { healthy: [100, 0], degraded: [0, 0] };
    rig.last.ready().respond({ ':status': '503' });
    rig.backOff();
    expect(rig.choices[0].priorityShares).toBeUndefined();
    expect(rig.choices[1].priorityShares?.([], original)).toEqual({ healthy: [0, 100], degraded: [0, 0] });
    expect(seen).toEqual(['priority 10.0.0.1:80']);
  });

  test('without either a retry chooses as a first try does', () => {
    const rig = new Rig(options({})).request();
    rig.last.ready().respond({ ':status': '503' });
    rig.backOff();
    expect(rig.choices[1]).toBe(rig.choices[0]);
  });
});
