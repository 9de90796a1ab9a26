import { FIELDS, MAPS, type MetricField, type MetricMap, type ReportDraft } from './draft.ts';

/** Takes no part in anything: `rps_fractional` took its place. */
const DEPRECATED_RPS = 'rps';

const FIELD_NAMES = withCamelCase(FIELDS);
const MAP_NAMES = withCamelCase(MAPS);

/** `OrcaLoadReport` as proto3 JSON. A field that it does not have is an error, as in Envoy. */
export function readJson(value: string, draft: ReportDraft): boolean {
  let whole: unknown;
  try {
    whole = JSON.parse(value);
  } catch {
    return false;
  }
  if (!isObject(whole)) return false;
  const seen = new Set<string>();
  for (const [name, given] of Object.entries(whole)) {
    const field: MetricField | MetricMap | undefined = FIELD_NAMES.get(name) ?? MAP_NAMES.get(name);
    if (field === undefined && name !== DEPRECATED_RPS) return false;
    const known = field ?? DEPRECATED_RPS;
    // Under both of its spellings.
    if (seen.has(known)) return false;
    seen.add(known);
    if (given !== null && !readField(name, given, draft)) return false;
  }
  return true;
}

function readField(name: string, given: unknown, draft: ReportDraft): boolean {
  const map = MAP_NAMES.get(name);
  if (map !== undefined) return readMap(map, given, draft);
  const value = numberOf(given);
  if (value === undefined) return false;
  const field = FIELD_NAMES.get(name);
  return field === undefined ? Number.isInteger(value) && value >= 0 : draft.set(field, value);
}

function readMap(map: MetricMap, given: unknown, draft: ReportDraft): boolean {
  if (!isObject(given)) return false;
  for (const [key, entry] of Object.entries(given)) {
    const value = numberOf(entry);
    if (value === undefined || !draft.put(map, key, value)) return false;
  }
  return true;
}

/** A double may stand in a string. */
function numberOf(given: unknown): number | undefined {
  if (typeof given === 'number') return given;
  if (typeof given !== 'string' || given === '' || given.trim() !== given) return undefined;
  const value = /^-?\d/.test(given) && !/[xob]/i.test(given) ? Number(given) : Number.NaN;
  return Number.isFinite(value) ? value : undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function withCamelCase<T>(names: ReadonlyMap<string, T>): ReadonlyMap<string, T> {
  return new Map(
    [...names].flatMap(([name, value]): [string, T][] => [
      [name, value],
      [name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase()), value],
    ]),
  );
}
