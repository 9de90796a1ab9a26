export type {
  ChunkAnnouncement,
  GroupAnnouncement,
  ReleaseAnnouncement,
  StatAnnouncement,
  StatsAnnouncement,
  TextAnnouncement,
} from './announcement.ts';
export { ENVOY_STATS, type EnvoyStat, type EnvoyStatTree } from './envoy-stats.ts';
export { formatJson } from './format-json.ts';
export { formatPrometheus, formatTags, prometheusName } from './format-prometheus.ts';
export { formatText, quantileSummary } from './format-text.ts';
export {
  DEFAULT_BUCKETS,
  type HistogramBin,
  HistogramStatistics,
  QUANTILES,
} from './histogram-statistics.ts';
export type { MergedCounter, MergedGauge, MergedHistogram, MergedTextReadout } from './merged-stats.ts';
export { compileStatsMatcher, type StatsMatcher, type StatsOptions, type TagSpecifier } from './options.ts';
export { RECENT_LOOKUPS_CAPACITY, RecentLookups } from './recent-lookups.ts';
export { ResponseCounters } from './response-counters.ts';
export { CHUNK_SLOTS, type SlotRange, StatsSegment } from './segment.ts';
export { SharedCount, SharedCounts, type SharedCountsHandle } from './shared-counts.ts';
export {
  HISTOGRAM_BUCKETS_MODES,
  type HistogramBucketsMode,
  STATS_TYPES,
  type StatsQuery,
  type StatsType,
} from './selection.ts';
export {
  type HistogramSnapshot,
  StatsStore,
  type StatsStoreOptions,
  type StoreSnapshot,
} from './store.ts';
export type { StatsSource } from './stats-source.ts';
export type { StringMatch } from './string-matcher.ts';
export { type Tag, type TaggedName, TagProducer } from './tag-producer.ts';
export { ThreadStats, type ThreadStatsOptions } from './thread-stats.ts';
