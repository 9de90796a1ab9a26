import {
  create,
  RuntimeDoubleSchema,
  RuntimeFeatureFlagSchema,
  RuntimePercentSchema,
  RuntimeUInt32Schema,
} from '@dragoman/api';
import { emptyRuntime, type Runtime } from '@dragoman/core';
import { describe, expect, it } from 'vitest';
import {
  compileRuntimeDouble,
  compileRuntimeFlag,
  compileRuntimePercent,
  compileRuntimeUint32,
} from '../src/index.ts';

const runtimeKey = 'a.key';
/** A runtime whose one key holds `value`, of whatever type is asked for. */
const holding = (value: number | boolean): Runtime => ({
  ...emptyRuntime,
  getInteger: (key, fallback) => (key === runtimeKey ? Number(value) : fallback),
  getNumber: (key, fallback) => (key === runtimeKey ? Number(value) : fallback),
  getBoolean: (key, fallback) => (key === runtimeKey ? Boolean(value) : fallback),
});

describe('values of runtime', () => {
  const flag = create(RuntimeFeatureFlagSchema, { defaultValue: false, runtimeKey });
  const double = create(RuntimeDoubleSchema, { defaultValue: 1.5, runtimeKey });
  const percent = create(RuntimePercentSchema, { defaultValue: { value: 40 }, runtimeKey });
  const uint = create(RuntimeUInt32Schema, { defaultValue: 7, runtimeKey });

  it('say what the caller does where there is no message', () => {
    const runtime = holding(3);
    expect(compileRuntimeFlag(undefined, runtime, true)()).toBe(true);
    expect(compileRuntimeDouble(undefined, runtime, 2.5)()).toBe(2.5);
    expect(compileRuntimePercent(undefined, runtime, 95)()).toBe(95);
    expect(compileRuntimeUint32(undefined, runtime, 9)()).toBe(9);
  });

  it('say the default where runtime says nothing', () => {
    expect(compileRuntimeFlag(flag, emptyRuntime, true)()).toBe(false);
    expect(compileRuntimeDouble(double, emptyRuntime, 2.5)()).toBe(1.5);
    expect(compileRuntimePercent(percent, emptyRuntime, 95)()).toBe(40);
    expect(compileRuntimeUint32(uint, emptyRuntime, 9)()).toBe(7);
  });

  it('say what runtime does', () => {
    expect(compileRuntimeFlag(flag, holding(true), true)()).toBe(true);
    expect(compileRuntimeDouble(double, holding(-3.25), 2.5)()).toBe(-3.25);
    expect(compileRuntimePercent(percent, holding(12.5), 95)()).toBe(12.5);
    expect(compileRuntimeUint32(uint, holding(12), 9)()).toBe(12);
  });

  it.each<[value: number, percent: number, uint: number]>([
    [-1, 40, 7],
    [0, 0, 0],
    [100, 100, 100],
    [101, 40, 101],
    [2 ** 32 - 1, 40, 2 ** 32 - 1],
    [2 ** 32, 40, 7],
  ])('take %d for a percentage or a number of 32 bits only where it is one', (value, asPercent, asUint) => {
    expect(compileRuntimePercent(percent, holding(value), 95)()).toBe(asPercent);
    expect(compileRuntimeUint32(uint, holding(value), 9)()).toBe(asUint);
  });

  it('a percentage without a default is 0', () => {
    expect(compileRuntimePercent(create(RuntimePercentSchema, { runtimeKey }), emptyRuntime, 95)()).toBe(0);
  });
});
