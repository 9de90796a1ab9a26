import { type CompiledRegex, compileRegex } from '@dragoman/core';
import {
  formatJson,
  formatPrometheus,
  formatText,
  HISTOGRAM_BUCKETS_MODES,
  type HistogramBucketsMode,
  STATS_TYPES,
  type StatsQuery,
  type StatsType,
} from '@dragoman/stats';
import type { Endpoint, EndpointParameter } from '../endpoint.ts';
import { escapeHtml, page } from '../page.ts';
import { processMetrics } from '../process-metrics.ts';
import { type AdminResponse, html, jsonText, ok, type Query, text } from '../request.ts';
import type { AdminState } from '../state.ts';

const FORMATS = ['html', 'json', 'prometheus', 'text'] as const;

const USED_ONLY: EndpointParameter = {
  name: 'usedonly',
  type: 'flag',
  help: 'Leave out stats that were never written',
};
const FILTER: EndpointParameter = {
  name: 'filter',
  help: 'Only names in which this RE2 expression is found',
};
const TEXT_READOUTS: EndpointParameter = {
  name: 'text_readouts',
  type: 'flag',
  help: 'Show text readouts too, as gauges with the text in a label (Prometheus only)',
};

/** The names that were looked up, the counters' zero, and all stats in their formats. */
export function stats(): Endpoint[] {
  const main: Endpoint = {
    path: '/stats',
    help: 'print server stats',
    parameters: [
      USED_ONLY,
      FILTER,
      TEXT_READOUTS,
      { name: 'format', help: 'How to print them', choices: FORMATS },
      { name: 'type', help: 'Only stats of this kind', choices: STATS_TYPES },
      { name: 'histogram_buckets', help: 'How to print histograms', choices: HISTOGRAM_BUCKETS_MODES },
    ],
    handle: (state, query) => handleStats(main, state, query),
  };
  return [
    main,
    {
      path: '/stats/prometheus',
      help: 'print server stats, and metrics of the process, for Prometheus',
      parameters: [
        USED_ONLY,
        TEXT_READOUTS,
        FILTER,
        { name: 'histogram_buckets', help: 'How to print histograms', choices: ['cumulative', 'summary'] },
      ],
      handle: (state, query) => {
        const wanted = parse(query);
        return 'status' in wanted ? wanted : prometheus(state, query, wanted);
      },
    },
    {
      path: '/contention',
      help: 'print mutex contention (there are no mutexes here)',
      handle: () =>
        text(
          'Mutex contention tracing is not enabled. To enable, run Envoy with flag --enable-mutex-tracing.',
        ),
    },
    {
      path: '/reset_counters',
      help: 'set all counters to zero',
      mutates: true,
      handle: (state) => {
        state.stats.resetCounters();
        state.stats.recentLookups.clear();
        return ok();
      },
    },
    ...recentLookups(),
  ];
}

async function handleStats(endpoint: Endpoint, state: AdminState, query: Query): Promise<AdminResponse> {
  const wanted = parse(query);
  if ('status' in wanted) return wanted;
  switch (query.get('format') ?? 'text') {
    case 'text':
      flushFor(state);
      return text(formatText(state.stats, wanted));
    case 'json':
      flushFor(state);
      return jsonText(formatJson(state.stats, wanted));
    case 'html':
      flushFor(state);
      return html(page([endpoint], query, `<pre>\n${escapeHtml(formatText(state.stats, wanted))}</pre>\n`));
    case 'prometheus':
      return prometheus(state, query, wanted);
    default:
      return text(`usage: /stats?format=(${FORMATS.join('|')})\n\n`, 400);
  }
}

function flushFor(state: AdminState): void {
  if (state.flushStatsOnAdmin) state.flushStats();
}

async function prometheus(state: AdminState, query: Query, wanted: StatsQuery): Promise<AdminResponse> {
  if (!['cumulative', 'summary'].includes(query.get('histogram_buckets') ?? 'cumulative')) {
    return text('unsupported prometheus histogram bucket mode\n', 400);
  }
  flushFor(state);
  const proxy = formatPrometheus(state.stats, wanted);
  // A filter and a type are about Envoy's stats: the process's own have neither such names nor kinds.
  const all = query.get('filter') === undefined && query.get('type') === undefined;
  return text(all ? proxy + (await processMetrics()) : proxy);
}

/** What the query asks for, or the answer to a query that is wrong. */
function parse(query: Query): StatsQuery | AdminResponse {
  const type = query.get('type') ?? 'All';
  if (!STATS_TYPES.includes(type as StatsType)) return text('invalid &type= param', 400);
  const buckets = query.get('histogram_buckets') ?? 'none';
  if (!HISTOGRAM_BUCKETS_MODES.includes(buckets as HistogramBucketsMode)) {
    return text(`usage: /stats?histogram_buckets=(${HISTOGRAM_BUCKETS_MODES.join('|')})\n`, 400);
  }
  const filter = query.get('filter');
  let compiled: CompiledRegex | undefined;
  try {
    compiled = filter === undefined ? undefined : compileRegex(filter);
  } catch {
    return text('Invalid re2 regex', 400);
  }
  return {
    ...(compiled === undefined ? {} : { filter: { test: (name) => compiled.search(name) } }),
    usedOnly: query.has('usedonly'),
    textReadouts: query.has('text_readouts'),
    type: type as StatsType,
    histogramBuckets: buckets as HistogramBucketsMode,
  };
}

function recentLookups(): Endpoint[] {
  return [
    {
      path: '/stats/recentlookups',
      help: 'print names of stats that were lately looked up by text',
      handle: ({ stats: { recentLookups: recent } }) => {
        const lines = recent.counts.map(([name, count]) => `${String(count).padStart(8)} ${name}\n`).join('');
        const total = `\ntotal: ${recent.total}\n`;
        if (lines === '' && !recent.enabled) {
          return text(`Lookup tracking is not enabled. Use /stats/recentlookups/enable to enable.\n${total}`);
        }
        return text(`   Count Lookup\n${lines}${total}`);
      },
    },
    {
      path: '/stats/recentlookups/clear',
      help: 'forget the looked-up names and their number',
      mutates: true,
      handle: (state) => {
        state.stats.recentLookups.clear();
        return ok();
      },
    },
    {
      path: '/stats/recentlookups/disable',
      help: 'stop recording looked-up names',
      mutates: true,
      handle: (state) => {
        state.stats.recentLookups.disable();
        return ok();
      },
    },
    {
      path: '/stats/recentlookups/enable',
      help: 'record looked-up names',
      mutates: true,
      handle: (state) => {
        state.stats.recentLookups.enable();
        return ok();
      },
    },
  ];
}
