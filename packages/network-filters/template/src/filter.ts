import { UInt32ValueSchema } from '@dragoman/api';
import {
  type Counter,
  defineNetworkFilter,
  type NetworkFilter,
  type NetworkFilterConnection,
  type NetworkFilterVerdict,
} from '@dragoman/core';
import { type Options, parseConfig } from './config.ts';

/** The extension: what an app lists. */
export const template = defineNetworkFilter({
  name: 'dragoman.filters.network.template',
  config: UInt32ValueSchema,
  terminal: false,
  create(config, context) {
    // Once for each place in a config: parse, compile, resolve the stats.
    const options = parseConfig(config);
    const closed = context.stats.scope('template').counter('closed');
    // Once for each connection: cheap.
    return (connection) => new TemplateFilter(options, closed, connection);
  },
});

class TemplateFilter implements NetworkFilter {
  private readonly options: Options;
  private readonly closed: Counter;
  private readonly filtered: NetworkFilterConnection;
  private received = 0;

  constructor(options: Options, closed: Counter, filtered: NetworkFilterConnection) {
    this.options = options;
    this.closed = closed;
    this.filtered = filtered;
  }

  onData(data: Buffer): NetworkFilterVerdict {
    this.received += data.length;
    if (this.received <= this.options.maximumBytes) return undefined;
    this.closed.inc();
    this.filtered.connection.close('now', 'template_too_many_bytes');
    return 'pause';
  }
}
