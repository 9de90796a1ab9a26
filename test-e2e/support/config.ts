/** A JSON value that stands for a message of Envoy's API. */
export type Message = { readonly [field: string]: unknown };

const TYPES = 'type.googleapis.com/envoy';
const HCM_TYPE = `${TYPES}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager`;
const ROUTER_TYPE = `${TYPES}.extensions.filters.http.router.v3.Router`;
const FILE_LOG_TYPE = `${TYPES}.extensions.access_loggers.file.v3.FileAccessLog`;
const TCP_PROXY_TYPE = `${TYPES}.extensions.filters.network.tcp_proxy.v3.TcpProxy`;

/** What the tests look at in an access log, one JSON object a line. */
export const LOG_FIELDS = {
  method: '%REQ(:METHOD)%',
  path: '%REQ(:PATH)%',
  agent: '%REQ(USER-AGENT)%',
  status: '%RESPONSE_CODE%',
  flags: '%RESPONSE_FLAGS%',
  details: '%RESPONSE_CODE_DETAILS%',
  received: '%BYTES_RECEIVED%',
  sent: '%BYTES_SENT%',
  failure: '%UPSTREAM_TRANSPORT_FAILURE_REASON%',
  cluster: '%UPSTREAM_CLUSTER%',
} as const;

/** One line of {@link LOG_FIELDS}. Values that are not there are null. */
export type LogLine = { readonly [K in keyof typeof LOG_FIELDS]: K extends NumberField ? number : string };
type NumberField = 'status' | 'received' | 'sent';

export const router: Message = {
  name: 'envoy.filters.http.router',
  typed_config: { '@type': ROUTER_TYPE },
};

export const address = (port: number, host = '127.0.0.1'): Message => ({
  socket_address: { address: host, port_value: port },
});

/** A file access logger; `format` is a `log_format`, default {@link LOG_FIELDS} as JSON. */
export const fileLog = (path: string, format: Message = { json_format: LOG_FIELDS }): Message => ({
  name: 'envoy.access_loggers.file',
  typed_config: { '@type': FILE_LOG_TYPE, path, log_format: format },
});

/** A STATIC cluster on loopback ports, with fields of one's own. */
export const cluster = (name: string, ports: readonly number[], more: Message = {}): Message => ({
  name,
  type: 'STATIC',
  connect_timeout: '2s',
  load_assignment: {
    cluster_name: name,
    endpoints: [{ lb_endpoints: ports.map((port) => ({ endpoint: { address: address(port) } })) }],
  },
  ...more,
});

/** A route of everything below `prefix` to `to`. */
export const prefixRoute = (prefix: string, to: string, more: Message = {}): Message => ({
  match: { prefix },
  route: { cluster: to, ...more },
});

export interface HttpListener {
  readonly name?: string;
  readonly logPath?: string;
  /** Of the log at {@link logPath}; default {@link LOG_FIELDS} as JSON. */
  readonly logFormat?: Message;
  /** Fields of that log, such as its filter. */
  readonly log?: Message;
  readonly routes?: readonly Message[];
  readonly virtualHosts?: readonly Message[];
  /** Before the router. */
  readonly filters?: readonly Message[];
  /** Fields of the connection manager. */
  readonly manager?: Message;
  /** Fields of the filter chain. */
  readonly chain?: Message;
  /** Fields of the listener. */
  readonly listener?: Message;
}

export function httpListener(options: HttpListener): Message {
  const { routes = [prefixRoute('/', 'upstream')], filters = [], logPath } = options;
  return {
    name: options.name ?? 'http',
    address: address(0),
    filter_chains: [
      {
        filters: [
          {
            name: 'envoy.filters.network.http_connection_manager',
            typed_config: {
              '@type': HCM_TYPE,
              stat_prefix: 'test',
              ...(logPath === undefined
                ? {}
                : { access_log: [{ ...fileLog(logPath, options.logFormat), ...options.log }] }),
              route_config: {
                virtual_hosts: options.virtualHosts ?? [{ name: 'all', domains: ['*'], routes }],
              },
              http_filters: [...filters, router],
              ...options.manager,
            },
          },
        ],
        ...options.chain,
      },
    ],
    ...options.listener,
  };
}

/** A listener with one network filter. */
export const networkListener = (
  name: string,
  type: string,
  config: Message,
  listener: Message = {},
): Message => ({
  name,
  address: address(0),
  filter_chains: [{ filters: [{ name, typed_config: { '@type': `${TYPES}.${type}`, ...config } }] }],
  ...listener,
});

export const tcpProxyListener = (to: string, config: Message = {}, listener: Message = {}): Message =>
  networkListener(
    'tcp',
    TCP_PROXY_TYPE.slice(TYPES.length + 1),
    { stat_prefix: 'tcp', cluster: to, ...config },
    listener,
  );

export const bootstrap = (
  listeners: readonly Message[],
  clusters: readonly Message[],
  more: Message = {},
): Message => ({
  node: { id: 'test', cluster: 'test' },
  admin: { address: address(0) },
  static_resources: { listeners, clusters },
  ...more,
});
