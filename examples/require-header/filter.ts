// An HTTP filter: requests have to carry a certain header, or are answered 403. `docs/writing-a-filter.md` explains it.
import { HeaderMatcherSchema } from '@dragoman/api';
import { defineHttpFilter, type HttpFilter } from '@dragoman/core';
import { compileHeaderMatcher, type HeaderPredicate } from '@dragoman/matching';

export const requireHeader = defineHttpFilter({
  name: 'dragoman.filters.http.require_header',
  config: HeaderMatcherSchema,
  perRoute: HeaderMatcherSchema,
  createPerRoute: (config) => compileHeaderMatcher(config),

  // Once for each place in a config.
  create(config, context) {
    const everywhere = compileHeaderMatcher(config);
    const denied = context.stats.scope(context.statPrefix).counter('require_header.denied');

    // Once for each request.
    return (stream): HttpFilter => ({
      onRequestHeaders(headers) {
        const matches = stream.perRouteConfig<HeaderPredicate>() ?? everywhere;
        if (matches(headers)) return;
        denied.inc();
        stream.reply({ status: 403, body: 'a header is missing\n', details: 'require_header_denied' });
      },
    });
  },
});
