// node --conditions dragoman-source packages/libraries/orca/bench/read.bench.ts

import { ResponseHeaders } from '@dragoman/core';
import { ORCA_HEADER, ORCA_HEADER_BIN, readLoadReport } from '../src/index.ts';

const FORMS: Readonly<Record<string, readonly [string, string]>> = {
  TEXT: [ORCA_HEADER, 'TEXT cpu_utilization=0.5,rps_fractional=100,eps=2,named_metrics.rif=4'],
  JSON: [ORCA_HEADER, 'JSON {"cpu_utilization":0.5,"rps_fractional":100,"eps":2,"named_metrics":{"rif":4}}'],
  binary: [ORCA_HEADER_BIN, 'CQAAAAAAAOA/MQAAAAAAAFlAOQAAAAAAAABAQg4KA3JpZhEAAAAAAAAQQA'],
  'no report': ['content-type', 'text/plain'],
};
const READS = 100_000;

for (const [form, [name, value]] of Object.entries(FORMS)) {
  const headers = new ResponseHeaders();
  for (let i = 0; i < 8; i++) headers.append(`x-header-${i}`, 'value');
  headers.append(name, value);
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 5; round++) {
    const start = performance.now();
    for (let i = 0; i < READS; i++) readLoadReport(headers);
    best = Math.min(best, performance.now() - start);
  }
  console.log(`${form}: ${((best * 1e6) / READS).toFixed(0)} ns`);
}
