import {
  type Clock,
  type RequestHeaders,
  type RequestIds,
  type ResponseHeaders,
  type StreamInfo,
  wellKnownId,
} from '@dragoman/core';
import { DateHeader } from './date-header.ts';
import { isUpgrade, stripResponseHopByHop } from './hop-by-hop.ts';
import type { SetProxyStatus } from './proxy-status.ts';
import { appendVia } from './via.ts';

/** The options of the HTTP connection manager that touch every response. */
export interface ResponseMutationOptions {
  /** `server_name`. */
  readonly serverName: string;
  /** `server_header_transformation`; default `overwrite`. */
  readonly serverHeader: 'overwrite' | 'append-if-absent' | 'pass-through';
  /** `via`; empty: none. */
  readonly via: string;
  /** `always_set_request_id_in_response`; default false: only for traced requests (`x-envoy-force-trace`). */
  readonly alwaysSetRequestId: boolean;
  readonly requestIds: RequestIds;
  /** `proxy_status_config`; undefined: none. */
  readonly proxyStatus: SetProxyStatus | undefined;
  readonly clock: Clock;
}

/** What the connection manager does to the headers of responses before they go to the codec. */
export interface ResponseMutation {
  /** @param request Undefined when the response answers bytes that were no request */
  final(headers: ResponseHeaders, request: RequestHeaders | undefined, info: StreamInfo): void;
  /** The same for an interim response (1xx), which gets neither `date` nor `server` nor `via`. */
  interim(headers: ResponseHeaders, request: RequestHeaders | undefined, info: StreamInfo): void;
}

const ID_DATE = wellKnownId('date');
const ID_SERVER = wellKnownId('server');
const ID_FORCE_TRACE = wellKnownId('x-envoy-force-trace');

/**
 * The last thing that happens to a response's headers before the codec: `date` when it has none, `server`,
 * hop-by-hop headers gone, `x-request-id`, `via`, `proxy-status`.
 */
export function compileResponseMutation(options: ResponseMutationOptions): ResponseMutation {
  const { serverName, serverHeader, via, alwaysSetRequestId, requestIds, proxyStatus } = options;
  const date = new DateHeader(options.clock);

  function common(headers: ResponseHeaders, request: RequestHeaders | undefined): void {
    const upgraded = request !== undefined && isUpgrade(headers) && isUpgrade(request);
    stripResponseHopByHop(headers, upgraded);
    if (request !== undefined && (alwaysSetRequestId || request.hasKnown(ID_FORCE_TRACE)))
      requestIds.setInResponse(headers, request);
  }

  return {
    final(headers, request, info) {
      if (!headers.hasKnown(ID_DATE)) headers.appendKnown(ID_DATE, date.text);
      if (
        serverHeader === 'overwrite' ||
        (serverHeader === 'append-if-absent' && !headers.hasKnown(ID_SERVER))
      )
        headers.setKnown(ID_SERVER, serverName);
      common(headers, request);
      if (via !== '') appendVia(headers, via);
      proxyStatus?.(headers, info);
    },
    interim(headers, request, info) {
      common(headers, request);
      proxyStatus?.(headers, info);
    },
  };
}
