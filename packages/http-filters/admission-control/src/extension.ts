import { AdmissionControlSchema } from '@dragoman/api';
import { defineHttpFilter, type HttpFilterExtension } from '@dragoman/core';
import { parseConfig } from './config.ts';
import { AdmissionControlFilter, type Shared } from './filter.ts';
import { RequestHistory } from './request-history.ts';

/** `envoy.filters.http.admission_control`: rejects requests with a probability that rises as fewer of those before succeeded. */
export const admissionControl: HttpFilterExtension = defineHttpFilter({
  name: 'envoy.filters.http.admission_control',
  config: AdmissionControlSchema,
  upstream: true,
  create(config, { clock, random, runtime, stats, statPrefix }) {
    const options = parseConfig(config, runtime);
    const scope = stats.scope(statPrefix).scope('admission_control');
    const shared: Shared = {
      options,
      history: new RequestHistory(clock, options.windowSeconds),
      random,
      rejected: scope.counter('rq_rejected'),
      success: scope.counter('rq_success'),
      failure: scope.counter('rq_failure'),
    };
    return (stream) => new AdmissionControlFilter(shared, stream);
  },
});
