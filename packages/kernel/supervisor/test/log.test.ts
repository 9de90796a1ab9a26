import { FakeClock } from '@dragoman/testing';
import { expect, it } from 'vitest';
import { lineLog } from '../src/log.ts';

it('writes a line as the proxy does', () => {
  const lines: string[] = [];
  const clock = new FakeClock(new Date(2026, 1, 3, 4, 5, 6, 7).getTime());
  const log = lineLog((line) => lines.push(line), clock, 4711);
  log('warning', 'a text\nof two lines');
  expect(lines).toEqual(['[2026-02-03 04:05:06.007][4711][warning][supervisor] a text of two lines\n']);
});
