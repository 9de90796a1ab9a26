import { DirectResponseConfigSchema, readDataSource } from '@dragoman/api';
import {
  atPath,
  defineNetworkFilter,
  type NetworkFilter,
  type NetworkFilterConnection,
  type NetworkFilterVerdict,
} from '@dragoman/core';

/** What `%RESPONSE_CODE_DETAILS%` says of the connection (Envoy's). */
const DETAILS = 'direct_response';

/** `envoy.filters.network.direct_response`. */
export const directResponse = defineNetworkFilter({
  name: 'envoy.filters.network.direct_response',
  config: DirectResponseConfigSchema,
  terminal: true,
  create(config) {
    const { response } = config;
    const bytes =
      response === undefined ? Buffer.alloc(0) : atPath('response', () => readDataSource(response));
    return (filtered) => new DirectResponseFilter(bytes, filtered);
  },
});

class DirectResponseFilter implements NetworkFilter {
  private readonly bytes: Buffer;
  private readonly filtered: NetworkFilterConnection;

  constructor(bytes: Buffer, filtered: NetworkFilterConnection) {
    this.bytes = bytes;
    this.filtered = filtered;
  }

  /** The peer may be sending still; closing at once would make its system drop the answer (RST), so its end is waited for. */
  onNewConnection(): NetworkFilterVerdict {
    const { connection, info } = this.filtered;
    info.responseCodeDetails = DETAILS;
    if (this.bytes.length > 0) connection.writeBody(this.bytes, true);
    connection.close('flush-and-wait', DETAILS);
    return 'pause';
  }
}
