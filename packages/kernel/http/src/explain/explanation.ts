import type { JsonValue } from '@dragoman/api';

/** A part of a configuration that was looked at and does not take the request. */
export interface Passed {
  /** Where it stands, below the message that holds all of them: `virtual_hosts[0].routes[2]`. */
  readonly path: string;
  /** Empty when it has none. */
  readonly name: string;
  /** A sentence without its end: what would have to be otherwise. */
  readonly why: string;
}

/** One header or pseudo-header that a step set, changed or removed. Lines of a name stand together, with a comma between them. */
export interface HeaderChange {
  readonly name: string;
  /** Undefined: it was not there. */
  readonly before: string | undefined;
  /** Undefined: it is gone. */
  readonly after: string | undefined;
}

/** A setting that holds for the request, as the configuration has it. */
export interface Setting {
  readonly name: string;
  readonly value: JsonValue;
  /** `route`, `virtual host`, `route configuration`, `connection manager` or `default`. */
  readonly from: string;
}

/** A cluster that may get the request. */
export interface PossibleCluster {
  readonly name: string;
  /** Of the requests, 0 … 100. */
  readonly percent: number;
  /** What is known of its hosts; undefined: there is no such cluster. */
  readonly hosts: ClusterHosts | undefined;
}

export interface ClusterHosts {
  readonly total: number;
  /** Undefined when nobody has looked: offline, or before discovery has an answer. */
  readonly healthy: number | undefined;
  /** `STATIC`, `STRICT_DNS`, … */
  readonly type: string;
}

/** What the matched route does. */
export type ActionExplanation =
  | {
      readonly kind: 'forward';
      readonly clusters: readonly PossibleCluster[];
      /** Which of them this request gets, with the given draw. */
      readonly cluster: string;
      /** Its place among {@link clusters}. */
      readonly chosen: number;
      /** What the client is answered when there is no such cluster. */
      readonly notFoundStatus: number;
      /** What the route changes before the request goes upstream. */
      readonly requestChanges: readonly HeaderChange[];
    }
  | { readonly kind: 'redirect'; readonly status: number; readonly location: string }
  | { readonly kind: 'direct-response'; readonly status: number; readonly bodyBytes: number };

/** What a connection manager does with a request. */
export interface HttpExplanation {
  readonly statPrefix: string;
  /** What the connection manager changes before it looks for a route. */
  readonly received: readonly HeaderChange[];
  /** The answer of the connection manager itself; undefined: it lets the request go on. */
  readonly refused: { readonly status: number; readonly details: string } | undefined;
  /** The name of the route configuration. */
  readonly routeConfig: string;
  readonly virtualHost: { readonly path: string; readonly name: string; readonly domain: string } | undefined;
  /** Routes of the virtual host before the one that matches, or all of them. */
  readonly passed: readonly Passed[];
  readonly route: { readonly path: string; readonly name: string } | undefined;
  /** Why there is no route, or no virtual host; empty when there is one. */
  readonly miss: string;
  readonly action: ActionExplanation | undefined;
  /** What the proxy answers itself; undefined when the request goes upstream. Bodies of a `body_format` are as of now. */
  readonly reply: ReplyExplanation | undefined;
  readonly settings: readonly Setting[];
  /** The HTTP filters in order. */
  readonly filters: readonly FilterExplanation[];
  /** What the route changes in a plain `200` response. */
  readonly responseChanges: readonly HeaderChange[];
}

/** What a client gets of a request that goes to no upstream. */
export interface ReplyExplanation {
  /** After `local_reply_config`. */
  readonly status: number;
  /** Of a gRPC request it stands in `headers`. */
  readonly body: string;
  readonly headers: readonly HeaderChange[];
  /** What `local_reply_config` made another of: the status before. Undefined: it changes no status. */
  readonly mappedFrom: number | undefined;
}

export interface FilterExplanation {
  readonly name: string;
  /** False: turned off by its config or by the route. */
  readonly enabled: boolean;
  /** The route, its virtual host or the route configuration has a config for it. */
  readonly perRoute: boolean;
}
