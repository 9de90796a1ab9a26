import { type Message, toConfigJson, toYaml } from '@dragoman/api';
import { printable } from '../explain/printable.ts';
import type { HistoryEntry } from './config-history.ts';
import { diffLines, type Hunk } from './line-diff.ts';

/** An entry as `/config_history` shows it. */
export interface ShownEntry {
  readonly number: number;
  readonly time: string;
  readonly type: string;
  readonly name: string;
  readonly source: string;
  readonly version: string;
  readonly outcome: HistoryEntry['outcome'];
  readonly reason?: string;
  /** The same came again. */
  readonly again?: { readonly times: number; readonly version: string; readonly time: string };
  /** What {@link diff} starts from. */
  readonly before?: { readonly number: number; readonly version: string };
  /** Lines of YAML: `@@` with where they stand, then ` `, `-` or `+` and the line. */
  readonly diff?: readonly string[];
  /** Why there is no difference. */
  readonly note?: string;
}

/** Lines of one difference at most. */
const MAX_LINES = 500;

/** @param withDiff false: there is no time for it */
export function showEntry(entry: HistoryEntry, withDiff: boolean): ShownEntry {
  const { number, at, type, name, source, version, outcome, reason, again, before } = entry;
  return {
    number,
    time: timeText(at),
    type: type.typeName,
    name,
    source,
    version,
    outcome,
    ...(reason === undefined ? {} : { reason }),
    ...(again === undefined
      ? {}
      : { again: { times: again.times, version: again.version, time: timeText(again.at) } }),
    ...(before === undefined ? {} : { before: { number: before.number, version: before.version } }),
    ...(withDiff
      ? differenceOf(entry)
      : { note: 'the difference is left out: ask for fewer entries, by type, name or limit' }),
  };
}

export function entryText(shown: ShownEntry): string {
  const {
    number,
    time,
    type,
    name,
    source,
    version,
    outcome,
    reason,
    again,
    before,
    diff = [],
    note,
  } = shown;
  const lines = [`#${number} ${time} ${type} "${name}" from ${source}`];
  const what = outcome === 'removed' ? 'removed' : `version "${version}" ${outcome}`;
  const repeated =
    again === undefined
      ? ''
      : `; the same again, last at ${again.time} as version "${again.version}" (${again.times})`;
  lines.push(`    ${what}${reason === undefined ? '' : ':'}${reason === undefined ? repeated : ''}`);
  if (reason !== undefined) {
    for (const line of reason.split('\n')) lines.push(`      ${line}`);
    if (repeated !== '') lines.push(`    ${repeated.slice(2)}`);
  }
  if (before !== undefined && diff.length > 0)
    lines.push(`    since version "${before.version}" (#${before.number}):`);
  for (const line of diff) lines.push(`    ${line}`);
  if (note !== undefined) lines.push(`    (${note})`);
  return `${lines.map(printable).join('\n')}\n`;
}

function differenceOf(entry: HistoryEntry): Pick<ShownEntry, 'diff' | 'note'> {
  const { outcome, before } = entry;
  if (outcome === 'removed') return {};
  const message = entry.message();
  if (message === undefined) return { note: 'it could not be read' };
  const last = before?.message();
  if (last === undefined) return { note: 'nothing that is kept was in use before it' };
  const after = linesOf(message);
  const hunks = diffLines(linesOf(last), after);
  if (hunks.length === 0) return { note: 'nothing differs, but perhaps what is redacted' };
  const diff = hunks.flatMap((hunk) => hunkLines(hunk, after));
  if (diff.length <= MAX_LINES) return { diff };
  return { diff: diff.slice(0, MAX_LINES), note: `${diff.length - MAX_LINES} more lines differ` };
}

function linesOf(message: Message): readonly string[] {
  return toYaml(toConfigJson(message)).trimEnd().split('\n');
}

function hunkLines({ start, lines }: Hunk, after: readonly string[]): string[] {
  const parents = parentsOf(after, start);
  return [parents === '' ? '@@' : `@@ ${parents}`, ...lines.map(({ kind, text }) => `${kind}${text}`)];
}

/** The keys above a line of YAML, outermost first. */
function parentsOf(lines: readonly string[], row: number): string {
  const parents: string[] = [];
  let indent = indentOf(lines[row] ?? '');
  for (let i = row - 1; i >= 0 && indent > 0; i--) {
    const line = lines[i] as string;
    const own = indentOf(line);
    if (own >= indent) continue;
    indent = own;
    parents.unshift(line.trim());
  }
  return parents.join(' > ');
}

function indentOf(line: string): number {
  return line.length - line.trimStart().length;
}

function timeText(wallTime: number): string {
  return new Date(wallTime).toISOString();
}
