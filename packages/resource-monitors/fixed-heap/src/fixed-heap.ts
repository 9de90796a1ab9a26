import { FixedHeapConfigSchema } from '@dragoman/api';
import { ConfigError, defineResourceMonitor } from '@dragoman/core';
import { usedMemory } from './used-memory.ts';

/** `envoy.resource_monitors.fixed_heap`: the memory that the process uses, as a share of `max_heap_size_bytes`. */
export const fixedHeap = defineResourceMonitor({
  name: 'envoy.resource_monitors.fixed_heap',
  config: FixedHeapConfigSchema,
  create({ maxHeapSizeBytes }) {
    const max = Number(maxHeapSizeBytes);
    if (max <= 0)
      throw ConfigError.at('max_heap_size_bytes', 'must be greater than 0: bytes, e.g. 1073741824 (1 GiB)');
    return { measure: () => usedMemory() / max };
  },
});
