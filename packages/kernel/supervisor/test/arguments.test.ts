import { describe, expect, it } from 'vitest';
import { epochFlags, epochOf, readArguments } from '../src/arguments.ts';

describe('the command line', () => {
  it.each<[string, string[], { startTimeoutMs: number; parentShutdownMs: number; flags: string[] }]>([
    ['nothing given', ['--'], { startTimeoutMs: 60_000, parentShutdownMs: 900_000, flags: [] }],
    [
      'own flags',
      ['--start-timeout-s', '5', '--', '-c', 'x'],
      { startTimeoutMs: 5000, parentShutdownMs: 900_000, flags: ['-c', 'x'] },
    ],
    [
      'with =',
      ['--start-timeout-s=0', '--', '--parent-shutdown-time-s=7'],
      { startTimeoutMs: 0, parentShutdownMs: 7000, flags: ['--parent-shutdown-time-s=7'] },
    ],
    [
      'a value apart',
      ['--', '--parent-shutdown-time-s', '7'],
      { startTimeoutMs: 60_000, parentShutdownMs: 7000, flags: ['--parent-shutdown-time-s', '7'] },
    ],
    [
      'a value that the epoch will refuse',
      ['--', '--parent-shutdown-time-s', 'soon'],
      { startTimeoutMs: 60_000, parentShutdownMs: 900_000, flags: ['--parent-shutdown-time-s', 'soon'] },
    ],
    [
      'what an epoch does not look at',
      ['--', '--', '--restart-epoch', '1'],
      { startTimeoutMs: 60_000, parentShutdownMs: 900_000, flags: ['--', '--restart-epoch', '1'] },
    ],
  ])('%s', (_, argv, expected) => {
    expect(readArguments(argv)).toEqual({ help: false, ...expected });
  });

  it.each([
    [[], 'must follow two dashes: dragoman supervise -- -c <path>'],
    [['-c', 'x'], 'must follow two dashes'],
    [['-c', '--', 'x'], 'unexpected argument "-c": flags of dragoman must follow two dashes'],
    [['--start-timeout-s', '--', '-c'], 'must be a whole number from 0 to 2147483, is ""'],
    [['--start-timeout-s', '1.5', '--'], 'is "1.5"'],
    [['--', '--restart-epoch', '1'], '--restart-epoch is set for each epoch by supervise: leave it out'],
    [['--', '--restart-epoch=1'], 'leave it out'],
  ])('%j is refused', (argv, text) => {
    expect(() => readArguments(argv)).toThrow(
      expect.objectContaining({ name: 'SuperviseUsageError', message: expect.stringContaining(text) }),
    );
  });

  it.each([[['--help']], [['-h']], [['--help', '--', '--restart-epoch']]])('%j asks for help', (argv) => {
    expect(readArguments(argv).help).toBe(true);
  });
});

it.each([
  [
    ['-c', 'x'],
    ['-c', 'x', '--restart-epoch', '4'],
  ],
  [
    ['-c', 'x', '--', 'y'],
    ['-c', 'x', '--restart-epoch', '4', '--', 'y'],
  ],
  [
    ['--ignore_rest', 'y'],
    ['--restart-epoch', '4', '--ignore_rest', 'y'],
  ],
])('the flags of an epoch: %j', (flags, expected) => {
  expect(epochFlags(flags, 4)).toEqual(expected);
  expect(epochOf(expected)).toBe(4);
});

it('an epoch that is not told is 0', () => {
  expect(epochOf(['node', 'x.js'])).toBe(0);
});
