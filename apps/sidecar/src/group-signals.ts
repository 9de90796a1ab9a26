import { EventEmitter } from 'node:events';
import type { EndingSignal, SupervisorLink } from '@dragoman/supervisor';

type Events = Pick<NodeJS.EventEmitter, 'on' | 'off'>;

const ENDING: readonly string[] = ['SIGTERM', 'SIGINT'] satisfies EndingSignal[];

/**
 * The events of a process that has a supervisor, as `process` has them. SIGTERM and SIGINT come two ways: sent to every process of a
 * group (by a terminal, by systemd), and from the supervisor, which tells of what was sent to itself. What has come both ways is one
 * signal: a second one would mean "at once".
 *
 * @param ignored called for a signal that nobody listens to
 */
export function groupSignals(
  process: Events,
  link: Pick<SupervisorLink, 'onSignal'>,
  ignored: () => void,
): Events {
  const merged = new EventEmitter();
  const arrived = { sent: new Map<string, number>(), told: new Map<string, number>() };
  const handled = new Map<string, number>();
  const arrive = (way: keyof typeof arrived, signal: string): void => {
    const times = (arrived[way].get(signal) ?? 0) + 1;
    arrived[way].set(signal, times);
    if (times <= (handled.get(signal) ?? 0)) return;
    handled.set(signal, times);
    if (!merged.emit(signal, signal)) ignored();
  };
  for (const signal of ENDING) process.on(signal, () => arrive('sent', signal));
  link.onSignal = (signal) => arrive('told', signal);
  const source = (name: string | symbol): Events => (ENDING.includes(String(name)) ? merged : process);
  return {
    on: (name, handler) => source(name).on(name, handler) as NodeJS.EventEmitter,
    off: (name, handler) => source(name).off(name, handler) as NodeJS.EventEmitter,
  };
}
