import { setImmediate } from 'node:timers/promises';
import type { Clock } from '@dragoman/core';
import { typeNameOf } from '@dragoman/api';
import { type Endpoint, json, type Query, text } from '@dragoman/admin';
import type { ConfigHistory, HistoryEntry } from './config-history.ts';
import { entryText, type ShownEntry, showEntry } from './show-entry.ts';

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 10_000;
/** How long main looks for differences, ms: nothing else happens on it meanwhile but between two entries. */
const DIFF_BUDGET_MS = 2000;

/** `/config_history`: what config sources have delivered, and what came of it. Not in Envoy. */
export function historyEndpoint(history: ConfigHistory, clock: Pick<Clock, 'now'>): Endpoint {
  return {
    path: '/config_history',
    help: 'print the last versions of what config sources have delivered, newest first',
    parameters: [
      { name: 'type', help: 'Only this type, such as Cluster; a full name or URL too' },
      { name: 'name', help: 'Only the resource of this name' },
      {
        name: 'outcome',
        help: 'Only what was accepted, rejected or removed',
        choices: ['', 'accepted', 'rejected', 'removed'],
      },
      { name: 'limit', help: `Entries at most; default ${DEFAULT_LIMIT}` },
      { name: 'format', help: 'default text', choices: ['text', 'json'] },
    ],
    async handle(_state, query) {
      const limit = Number(query.get('limit') ?? DEFAULT_LIMIT);
      if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT)
        return text(`limit is a whole number from 1 to ${MAX_LIMIT}\n`, 400);
      const found = [...history.entries].reverse().filter(wanted(query));
      const shown: ShownEntry[] = [];
      const deadline = clock.now() + DIFF_BUDGET_MS;
      for (const entry of found.slice(0, limit)) {
        shown.push(showEntry(entry, clock.now() < deadline));
        await setImmediate();
      }
      const left = found.length - shown.length;
      if (query.get('format') === 'json') return json({ entries: shown, left_out: left });
      const more = left === 0 ? '' : `(${left} older ones; see limit)\n`;
      return text(shown.length === 0 ? 'nothing\n' : `${shown.map(entryText).join('\n')}${more}`);
    },
  };
}

function wanted(query: Query): (entry: HistoryEntry) => boolean {
  const [type, name, outcome] = [query.get('type'), query.get('name'), query.get('outcome')];
  const typeName = type === undefined ? undefined : typeNameOf(type);
  return (entry) =>
    (typeName === undefined ||
      entry.type.typeName === typeName ||
      entry.type.typeName.endsWith(`.${typeName}`)) &&
    (name === undefined || entry.name === name) &&
    (outcome === undefined || entry.outcome === outcome);
}
