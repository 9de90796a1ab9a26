import { EventEmitter } from 'node:events';
import type { SupervisorLink } from '@dragoman/supervisor';
import { describe, expect, test } from 'vitest';
import { groupSignals } from '../src/group-signals.ts';

function scene() {
  const process = new EventEmitter();
  const link = {} as Pick<SupervisorLink, 'onSignal'>;
  const heard: string[] = [];
  const events = groupSignals(process, link, () => heard.push('ignored'));
  const listen = (name: string) => events.on(name, (value) => heard.push(`${value}`));
  return { process, link, heard, events, listen };
}

describe('a signal', () => {
  test.each([
    ['sent', ['sent'], 1],
    ['told', ['told'], 1],
    ['sent to the group, and told', ['sent', 'told'], 1],
    ['told, and sent to the group', ['told', 'sent'], 1],
    ['sent twice', ['sent', 'sent'], 2],
    ['told twice', ['told', 'told'], 2],
    ['sent to the group twice', ['sent', 'told', 'told', 'sent'], 2],
    ['sent to the group, then to the supervisor alone', ['told', 'sent', 'told'], 2],
  ])('%s', (_, ways, times) => {
    const { process, link, heard, listen } = scene();
    listen('SIGTERM');
    for (const way of ways) {
      if (way === 'sent') process.emit('SIGTERM', 'SIGTERM');
      else link.onSignal('SIGTERM');
    }
    expect(heard).toEqual(Array(times).fill('SIGTERM'));
  });

  test('is not another one', () => {
    const { process, link, heard, listen } = scene();
    listen('SIGTERM');
    listen('SIGINT');
    process.emit('SIGINT');
    link.onSignal('SIGTERM');
    expect(heard).toEqual(['SIGINT', 'SIGTERM']);
  });

  test('that nobody listens to is not lost', () => {
    const { link, heard } = scene();
    link.onSignal('SIGTERM');
    expect(heard).toEqual(['ignored']);
  });
});

test('other events are those of the process', () => {
  const { process, heard, events } = scene();
  const handler = (value: unknown) => heard.push(String(value));
  events.on('SIGUSR1', handler);
  process.emit('SIGUSR1', 'SIGUSR1');
  events.off('SIGUSR1', handler);
  process.emit('SIGUSR1', 'again');
  expect(heard).toEqual(['SIGUSR1']);
});
