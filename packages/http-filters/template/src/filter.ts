import { HeaderValueSchema } from '@dragoman/api';
import {
  type Counter,
  defineHttpFilter,
  type HttpFilter,
  type HttpStream,
  type ResponseHeaders,
} from '@dragoman/core';
import { type Options, parseConfig } from './config.ts';

/** The extension: what an app lists. */
export const template = defineHttpFilter({
  name: 'dragoman.filters.http.template',
  config: HeaderValueSchema,
  perRoute: HeaderValueSchema,
  createPerRoute: (config) => parseConfig(config),
  create(config, context) {
    // Once for each place in a config: parse, compile, resolve the stats.
    const options = parseConfig(config);
    const added = context.stats.scope(context.statPrefix).scope('template').counter('added');
    // Once for each request: cheap.
    return (stream) => new TemplateFilter(options, added, stream);
  },
});

class TemplateFilter implements HttpFilter {
  private readonly options: Options;
  private readonly added: Counter;
  private readonly stream: HttpStream;

  constructor(options: Options, added: Counter, stream: HttpStream) {
    this.options = options;
    this.added = added;
    this.stream = stream;
  }

  onResponseHeaders(headers: ResponseHeaders): void {
    const { name, value } = this.stream.perRouteConfig<Options>() ?? this.options;
    headers.set(name, value);
    this.added.inc();
  }
}
