import type { HeaderMap } from '@dragoman/core';
import { readLoadReport } from '@dragoman/orca';
import type { UpstreamRequest } from './upstream-request.ts';

/**
 * Tells whoever balances by it what the host says of its load in these headers or trailers: once for each answer, of which the headers
 * come first (Envoy: `maybeProcessOrcaLoadReport`). Where nobody wants to know, nothing is read.
 */
export function tellLoad(upstream: UpstreamRequest, headers: HeaderMap): void {
  const tell = upstream.host?.onLoadReport;
  if (tell === undefined || upstream.loadTold) return;
  const report = readLoadReport(headers);
  if (report === undefined) return;
  upstream.loadTold = true;
  tell(report);
}
