import type { Trigger } from '@dragoman/api';
import { ConfigError } from '@dragoman/core';

/** What a trigger makes of the pressure of its resource: 0 (not at all) … 1 (saturated). */
export type TriggerValue = (pressure: number) => number;

/** @throws ConfigError with paths below the trigger */
export function compileTrigger({ triggerOneof }: Trigger): TriggerValue {
  switch (triggerOneof.case) {
    case 'threshold': {
      const { value: threshold } = triggerOneof.value;
      return (pressure) => (pressure >= threshold ? 1 : 0);
    }
    case 'scaled': {
      const { scalingThreshold: from, saturationThreshold: to } = triggerOneof.value;
      if (from >= to) {
        throw ConfigError.at(
          'scaled',
          `scaling_threshold must be less than saturation_threshold, is ${from} (saturation_threshold: ${to})`,
        );
      }
      return (pressure) => (pressure <= from ? 0 : pressure >= to ? 1 : (pressure - from) / (to - from));
    }
    default:
      throw ConfigError.at('', 'a trigger needs a threshold: threshold { value }, or scaled { … }');
  }
}
