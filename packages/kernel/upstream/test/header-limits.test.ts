import { emptyRuntime } from '@dragoman/core';
import { ExtensionRegistry } from '@dragoman/core';
import { FakeClock } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { readCluster } from '../src/index.ts';
import { clusterMessage, httpOptions, inOrder, testContext } from './support/clusters.ts';
import { MemoryStats } from './support/memory-stats.ts';

const KB = 'envoy.reloadable_features.max_response_headers_size_kb';
const COUNT = 'envoy.reloadable_features.max_response_headers_count';

function limits(values: Readonly<Record<string, number>>, common: object = {}) {
  const runtime = { ...emptyRuntime, getInteger: (key: string, fallback: number) => values[key] ?? fallback };
  const { context } = testContext(new FakeClock(), new MemoryStats(), runtime);
  const message = clusterMessage(
    httpOptions({
      common_http_protocol_options: common,
      explicit_http_config: { http_protocol_options: {} },
    }),
  );
  const { codec } = readCluster(message, new ExtensionRegistry([inOrder]), context).http;
  return [codec.maxHeaderBytes / 1024, codec.maxHeaderCount];
}

describe('limits of responses', () => {
  it.each<[string, Record<string, number>, object, number[]]>([
    ['the defaults', {}, {}, [60, 100]],
    ['of runtime', { [KB]: 96, [COUNT]: 250 }, {}, [96, 250]],
    [
      'of the cluster',
      { [KB]: 96, [COUNT]: 250 },
      { max_response_headers_kb: 10, max_headers_count: 20 },
      [10, 20],
    ],
    ['no limits that the fields could have', { [KB]: 8193, [COUNT]: 0 }, {}, [60, 100]],
  ])('%s', (_what, values, common, expected) => {
    expect(limits(values, common)).toEqual(expected);
  });
});
