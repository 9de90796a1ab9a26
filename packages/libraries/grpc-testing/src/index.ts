export { EditedStream, FilterRun, type Message, type Passed } from './filter-run.ts';
export { Http2Clusters } from './http2-clusters.ts';
export { Http2TestPool } from './http2-pool.ts';
export { LoadReportServer, type LoadReportWish } from './load-report-server.ts';
export { grpcFrames, inPieces, textOf, trailers } from './messages.ts';
