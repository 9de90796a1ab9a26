import { FIELDS, MAPS, type ReportDraft } from './draft.ts';

/** Maps whose entries this form has. */
const TEXT_MAPS = new Set(['named_metrics', 'utilization']);

/** A decimal number, as C reads it. */
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** `name=value` or `name:value`, with commas between them; no name twice, no value below 0. */
export function readText(value: string, draft: ReportDraft): boolean {
  const names = new Set<string>();
  for (const part of value.split(',')) {
    const entry = part.trim();
    if (entry === '') continue;
    const end = entry.search(/[=:]/);
    if (end <= 0) return false;
    const name = entry.slice(0, end);
    if (names.has(name)) return false;
    names.add(name);
    if (!readEntry(name, entry.slice(end + 1).trim(), draft)) return false;
  }
  return true;
}

function readEntry(name: string, text: string, draft: ReportDraft): boolean {
  if (!NUMBER.test(text)) return false;
  const value = Number(text);
  if (value < 0) return false;
  const field = FIELDS.get(name);
  if (field !== undefined) return draft.set(field, value);
  const dot = name.indexOf('.');
  const map = dot < 0 || dot === name.length - 1 ? undefined : MAPS.get(name.slice(0, dot));
  if (map === undefined || !TEXT_MAPS.has(name.slice(0, dot))) return false;
  return draft.put(map, name.slice(dot + 1), value);
}
