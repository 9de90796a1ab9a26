import { ConfigError } from '@dragoman/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileTimeFormat, defaultTimeFormatter } from '../src/time-format.ts';

/** Friday, 2 January 2026, 03:04:05.678123 UTC. */
const TIME = Date.UTC(2026, 0, 2, 3, 4, 5) + 678.123;

describe('time format', () => {
  it.each([
    ['%Y/%m/%dT%H:%M:%S%z', '2026/01/02T03:04:05+0000'],
    ['%s', '1767323045'],
    ['%s.%3f', '1767323045.678'],
    ['%6f', '678123'],
    ['%1f', '6'],
    ['plain', 'plain'],
    ['', ''],
    ['%%|%t|', '%|\t|'],
    ['%a %A %b %B %h', 'Fri Friday Jan January Jan'],
    ['%C %y %G %g %V %U %W %j %u %w', '20 26 2026 26 01 00 00 002 5 5'],
    ['%e|%d|%k|%H|%l|%I', ' 2|02| 3|03| 3|03'],
    ['%p %P', 'AM am'],
    ['%c', 'Fri Jan  2 03:04:05 2026'],
    ['%D %F %r %R %T %x %X', '01/02/26 2026-01-02 03:04:05 AM 03:04 03:04:05 01/02/26 03:04:05'],
    ['%Z %Ez %E*z', 'UTC +00:00 +00:00:00'],
    ['%-d %_d %0e %^a %^b', '2  2 02 FRI JAN'],
    ['%E3S %E6f %E4Y %ET', '05.678 678123 2026 T'],
    ['%Ey %Od', '26 02'],
  ])('%s', (format, expected) => {
    expect(compileTimeFormat(format, false)(TIME)).toBe(expected);
  });

  it('prints fractions as long as they need to be', () => {
    const fraction = compileTimeFormat('%E*S|%E*f|%f', false);
    expect(fraction(Date.UTC(2026, 0, 1) + 250)).toBe('00.25|25|250000000');
    expect(fraction(Date.UTC(2026, 0, 1))).toBe('00|0|000000000');
  });

  it('does not keep an old second', () => {
    const format = compileTimeFormat('%H:%M:%S.%3f', false);
    const byDefault = defaultTimeFormatter(false);
    const start = Date.UTC(2026, 11, 31, 23, 59, 59);
    for (const [ms, time, date] of [
      [998, '23:59:59.998', '2026-12-31T23:59:59.998Z'],
      [999.9, '23:59:59.999', '2026-12-31T23:59:59.999Z'],
      [1000, '00:00:00.000', '2027-01-01T00:00:00.000Z'],
      [-1, '23:59:58.999', '2026-12-31T23:59:58.999Z'],
    ] as const) {
      expect(format(start + ms)).toBe(time);
      expect(byDefault(start + ms)).toBe(date);
    }
  });

  it('never rounds up, at no time', () => {
    const format = compileTimeFormat('%Y-%m-%dT%H:%M:%E3SZ', false);
    const byDefault = defaultTimeFormatter(false);
    const check = (ms: number): void => {
      expect(byDefault(ms)).toBe(new Date(Math.floor(ms)).toISOString());
      expect(format(ms)).toBe(byDefault(ms));
    };
    // The largest number below a second that a double holds today.
    for (let i = 0; i < 2000; i++) check(1_767_323_046_000 + i * 1000 - 2 ** -12);
    fc.assert(fc.property(fc.double({ min: 0, max: 4e12, noNaN: true }), check));
  });

  it.each([
    [Date.UTC(2021, 0, 3), '53 2020 01 00'],
    [Date.UTC(2021, 0, 4), '01 2021 01 01'],
    [Date.UTC(2024, 11, 30), '01 2025 52 53'],
    [Date.UTC(2024, 11, 29), '52 2024 52 52'],
    [Date.UTC(2026, 11, 31), '53 2026 52 52'],
  ])('knows the weeks of %i', (time, expected) => {
    expect(compileTimeFormat('%V %G %U %W', false)(time)).toBe(expected);
  });

  it('prints local time with its offset', () => {
    const zone = process.env['TZ'];
    process.env['TZ'] = 'America/New_York';
    try {
      expect(compileTimeFormat('%Y-%m-%d %H:%M %z %Ez %Z', true)(TIME)).toBe(
        '2026-01-01 22:04 -0500 -05:00 EST',
      );
      expect(defaultTimeFormatter(true)(TIME)).toBe('2026-01-01T22:04:05.678-0500');
      expect(compileTimeFormat('%H %z', true)(Date.UTC(2026, 6, 1, 12))).toBe('08 -0400');
      process.env['TZ'] = 'Asia/Kolkata';
      expect(compileTimeFormat('%H:%M %z', true)(TIME)).toBe('08:34 +0530');
    } finally {
      if (zone === undefined) delete process.env['TZ'];
      else process.env['TZ'] = zone;
    }
  });

  it.each(['%', 'a%', '%Q', '%n', '%-n', '%En', '%10f'])('refuses %s', (format) => {
    expect(() => compileTimeFormat(format, false)).toThrow(ConfigError);
  });
});
