import { LoadShedPointName, OverloadActionName } from '@dragoman/core';

/** What {@link OverloadActionName} lacks of Envoy's actions, and why. */
export const REFUSED_ACTIONS: Readonly<Record<string, string>> = {
  'envoy.overload_actions.close_idle_http_connections':
    'closes idle HTTP/3 connections, and HTTP/3 is not supported; use reduce_timeouts with HTTP_DOWNSTREAM_CONNECTION_IDLE',
};

/** What {@link LoadShedPointName} lacks of Envoy's points, and why. */
export const REFUSED_POINTS: Readonly<Record<string, string>> = {
  'envoy.load_shed_points.http2_server_go_away_and_close_on_dispatch':
    'to close a connection over its open streams is not built; use http2_server_go_away_on_dispatch',
  'envoy.load_shed_points.http3_server_go_away_on_dispatch': 'HTTP/3 is not supported',
  'envoy.load_shed_points.http3_server_go_away_and_close_on_dispatch': 'HTTP/3 is not supported',
};

/** What streams were reset is counted here; Envoy puts nothing before it. */
export const RESET_COUNT = `${OverloadActionName.resetHighMemoryStream}.count`;

export const ACTIONS: ReadonlySet<string> = new Set(Object.values(OverloadActionName));
export const POINTS: ReadonlySet<string> = new Set(Object.values(LoadShedPointName));
