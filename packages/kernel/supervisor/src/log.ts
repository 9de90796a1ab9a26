import type { Clock } from '@dragoman/core';

export type SupervisorLogLevel = 'info' | 'warning' | 'error';

export type SupervisorLog = (level: SupervisorLogLevel, text: string) => void;

/** Lines as the proxy's own: `[2026-01-01 00:00:00.000][pid][level][supervisor] text`, in local time. */
export function lineLog(write: (line: string) => void, clock: Clock, pid: number): SupervisorLog {
  return (level, text) => {
    write(`[${localTime(clock.wallTime())}][${pid}][${level}][supervisor] ${oneLine(text)}\n`);
  };
}

function localTime(wallTimeMs: number): string {
  const time = new Date(wallTimeMs);
  const date = [time.getFullYear(), time.getMonth() + 1, time.getDate()].map(two).join('-');
  const hours = [time.getHours(), time.getMinutes(), time.getSeconds()].map(two).join(':');
  return `${date} ${hours}.${String(time.getMilliseconds()).padStart(3, '0')}`;
}

const two = (value: number) => String(value).padStart(2, '0');

const oneLine = (text: string) => text.replace(/[\r\n]+/g, ' ');
