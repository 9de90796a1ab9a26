// node --conditions dragoman-source packages/kernel/access-log/bench/format.bench.ts

import { create, SubstitutionFormatStringSchema } from '@dragoman/api';
import type { LogContext, TextFormatter } from '@dragoman/core';
import { createFormatterFactory } from '../src/index.ts';
import { fullContext } from '../test/fixtures.ts';

const ROUNDS = 300_000;
const contexts = Array.from({ length: 64 }, usualContext);
const factory = createFormatterFactory();

/** A request as most are: no flags, each header once, no rewritten path. */
function usualContext(): LogContext {
  const context = fullContext();
  context.info.responseFlags = 0;
  context.request?.set('x-forwarded-for', '198.51.100.1');
  context.request?.remove('x-envoy-original-path');
  return context;
}

/** Prints CPU time of the best of five rounds, making the bytes of each batch included. */
function measure(name: string, formatter: TextFormatter): void {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 5; round++) {
    const before = process.cpuUsage();
    let batch = '';
    for (let i = 0; i < ROUNDS; i++) {
      batch += formatter.format(contexts[i % contexts.length]);
      if (batch.length < 65_536) continue;
      Buffer.from(batch, 'latin1');
      batch = '';
    }
    const { user, system } = process.cpuUsage(before);
    best = Math.min(best, ((user + system) * 1000) / ROUNDS);
  }
  console.log(`${name}: ${best.toFixed(0)} ns a line`);
}

measure('default line', factory.default);
measure(
  'six operators as JSON',
  factory.fromConfig(
    create(SubstitutionFormatStringSchema, {
      format: {
        case: 'jsonFormat',
        value: {
          time: '%START_TIME%',
          method: '%REQ(:METHOD)%',
          path: '%PATH(NQ)%',
          code: '%RESPONSE_CODE%',
          duration: '%DURATION%',
          host: '%UPSTREAM_HOST%',
        },
      },
    }),
  ),
);
measure('own time format', factory.text('%START_TIME(%Y/%m/%d %H:%M:%S.%6f)% %REQ(:PATH):20%\n'));
