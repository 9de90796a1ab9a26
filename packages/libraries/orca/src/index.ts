export { MAX_METRICS, MAX_REPORT_CHARS, ORCA_HEADER, ORCA_HEADER_BIN, readLoadReport } from './headers.ts';
export { maxUtilization, type MetricReader, metricReader, unknownMetrics } from './metrics.ts';
