import type { FilterStateObject, MetadataValue } from '@dragoman/core';

/** The name of the filter state object. */
export const FILTER_STATE_NAME = 'envoy.filters.http.grpc_stats';

/** How many messages have begun on a stream, for logs (Envoy: `GrpcStatsObject`). */
export class MessageCounts implements FilterStateObject {
  request = 0;
  response = 0;

  toText(): string {
    return `${this.request},${this.response}`;
  }

  /** The message `FilterObject` as JSON, by the names of its fields: 64-bit numbers as strings, and none that is 0. */
  toJson(): MetadataValue {
    return {
      ...(this.request === 0 ? {} : { request_message_count: String(this.request) }),
      ...(this.response === 0 ? {} : { response_message_count: String(this.response) }),
    };
  }
}
