import { LOG_LEVELS, type LogLevel } from '@dragoman/core';
import type { Endpoint } from '../endpoint.ts';
import { ok, type Query, text } from '../request.ts';
import type { AdminState } from '../state.ts';

export function logging(): Endpoint[] {
  return [
    {
      path: '/logging',
      help: 'print or change log levels; also ?<logger>=<level>',
      mutates: true,
      parameters: [
        { name: 'paths', help: 'Several at once: <logger1>:<level1>,<logger2>:<level2>' },
        { name: 'level', help: 'The level of all loggers', choices: ['', ...LOG_LEVELS] },
      ],
      handle: (state, query) => {
        const problem = change(state, query);
        const usage = problem === undefined ? '' : usageText(problem);
        const lines = state.loggers().map(({ name, level }) => `  ${name}: ${level}\n`);
        return text(`${usage}active loggers:\n${lines.join('')}\n`, problem === undefined ? 200 : 400);
      },
    },
    {
      path: '/reopen_logs',
      help: 'open access-log files and the file of the server log anew',
      mutates: true,
      handle: (state) => {
        state.reopenLogs();
        return ok();
      },
    },
  ];
}

function usageText(problem: string): string {
  return (
    `error: ${problem}\n\n` +
    'usage: /logging?<name>=<level> (change single level)\n' +
    'usage: /logging?paths=name1:level1,name2:level2,... (change multiple levels)\n' +
    'usage: /logging?level=<level> (change all levels)\n' +
    `levels: ${LOG_LEVELS.map((level) => `${level} `).join('')}\n`
  );
}

/** Does what the query asks, all of it or nothing; gives back what is wrong with it. */
function change(state: AdminState, query: Query): string | undefined {
  // The form of the admin page sends both fields, empty when they were not filled in.
  const wanted = [...query.entries].filter(
    ([name, value]) => value !== '' || (name !== 'level' && name !== 'paths'),
  );
  if (wanted.length === 0) return undefined;
  if (wanted.length > 1) return 'invalid number of parameters';
  const [key, value] = wanted[0];
  if (key === 'level') {
    if (!isLevel(value)) return 'unknown logger level';
    state.setLogLevel(undefined, value);
    return undefined;
  }
  const changes = key === 'paths' ? parsePaths(value) : new Map([[key, value]]);
  if (typeof changes === 'string') return changes;
  const known = new Set(state.loggers().map(({ name }) => name));
  for (const [name, level] of changes) {
    if (!isLevel(level)) return 'unknown logger level';
    if (!known.has(name)) return 'unknown logger name';
  }
  for (const [name, level] of changes) state.setLogLevel(name, level as LogLevel);
  return undefined;
}

function parsePaths(paths: string): Map<string, string> | string {
  const changes = new Map<string, string>();
  for (const pair of paths.split(',')) {
    if (pair.trim() === '') continue;
    const colon = pair.indexOf(':');
    const name = colon < 0 ? '' : pair.slice(0, colon).trim();
    const level = colon < 0 ? '' : pair.slice(colon + 1).trim();
    if (name === '' || level === '') return 'empty logger name or empty logger level';
    changes.set(name, level);
  }
  return changes;
}

function isLevel(level: string): level is LogLevel {
  return LOG_LEVELS.includes(level as LogLevel);
}
