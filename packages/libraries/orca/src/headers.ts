import type { HeaderMap, LoadReport } from '@dragoman/core';
import { readBinary } from './binary.ts';
import { MAX_METRICS, ReportDraft } from './draft.ts';
import { readJson } from './json.ts';
import { readText } from './text.ts';

export { MAX_METRICS };

/** A report with a word in front that names its form: `TEXT `, `JSON ` or `BIN `. */
export const ORCA_HEADER = 'endpoint-load-metrics';

/** A report in binary form, as gRPC sends it. It comes before {@link ORCA_HEADER}. */
export const ORCA_HEADER_BIN = 'endpoint-load-metrics-bin';

/** Longest value that is read: a report of every map is some hundred characters. */
export const MAX_REPORT_CHARS = 16 * 1024;

/** What stands in front of a report, and says its form. */
const PREFIX = /^(TEXT|JSON|BIN) /;

/**
 * The load report in the headers or trailers of a response. Undefined when there is none, and for one that is not right in every part
 * (nothing is made of half a report). Of several lines of a name the first counts, as in Envoy. Never throws: what comes is the upstream's.
 */
export function readLoadReport(headers: HeaderMap): LoadReport | undefined {
  const binary = headers.get(ORCA_HEADER_BIN);
  if (binary !== undefined) return read(binary, readBinary);
  const value = headers.get(ORCA_HEADER);
  const form = value === undefined ? undefined : PREFIX.exec(value)?.[1];
  if (value === undefined || form === undefined) return undefined;
  const rest = value.slice(form.length + 1);
  if (form === 'BIN') return read(rest, readBinary);
  return read(utf8(rest), form === 'JSON' ? readJson : readText);
}

/** @returns whether all of `value` was understood */
type Reader = (value: string, draft: ReportDraft) => boolean;

function read(value: string | undefined, reader: Reader): LoadReport | undefined {
  if (value === undefined || value.length > MAX_REPORT_CHARS) return undefined;
  const draft = new ReportDraft();
  return reader(value, draft) ? draft : undefined;
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Header values are strings of bytes. Undefined when they are no UTF-8. */
function utf8(value: string): string | undefined {
  if (/^[\x00-\x7f]*$/.test(value)) return value;
  try {
    return UTF8.decode(Buffer.from(value, 'latin1'));
  } catch {
    return undefined;
  }
}
