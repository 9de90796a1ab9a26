import {
  Admin,
  type AdminLogEntry,
  type AdminServer,
  type AdminState,
  type Endpoint,
  startAdminServer,
} from '@dragoman/admin';
import { AccessLogSchema, type Bootstrap, create, FileAccessLogSchema, anyPack } from '@dragoman/api';
import {
  type AccessLogger,
  Address,
  atPath,
  ConfigError,
  type ConnectionInfo,
  RequestHeaders,
  ResponseHeaders,
  StreamInfo,
  type WorkerContext,
} from '@dragoman/core';
import { readBindTarget } from './listener/addresses.ts';
import { bindFailureText } from './listener/bind-failure.ts';

export interface AdminInterfaceOptions {
  readonly bootstrap: Bootstrap;
  readonly state: AdminState;
  readonly context: WorkerContext;
  /** What it answers beyond the usual. */
  readonly endpoints: readonly Endpoint[];
  /** Where it was before, when it is opened again: port 0 is the port that it was. */
  readonly at: Address | undefined;
}

/**
 * Opens the admin interface where the bootstrap says; undefined when it says nothing.
 * @throws ConfigError with a path below `admin`; its `cause` is the system's error when the address could not be had
 */
export async function startAdmin(options: AdminInterfaceOptions): Promise<AdminServer | undefined> {
  const { bootstrap, state, context, endpoints } = options;
  const { admin } = bootstrap;
  if (admin?.address === undefined) return undefined;
  const logger = context.loggers.logger('admin');
  const target = atPath('admin.address', () => readBindTarget(admin.address));
  const address = options.at ?? target.address;
  const loggers = adminAccessLoggers(bootstrap, context);
  const handler = new Admin(state, { logger, endpoints });
  if (!isLoopback(address)) {
    logger.warn(
      `admin.address ${address.text} can be reached from other machines: whoever reaches it can stop this proxy and read its configuration; bind it to 127.0.0.1 unless the network is closed`,
    );
  }
  try {
    return await startAdminServer({
      address,
      handle: (request) => handler.handle(request),
      bodyLimit: (path) => handler.bodyLimit(path),
      stats: context.stats,
      clock: context.clock,
      logger,
      ...(loggers.length === 0 ? {} : { onRequest: (entry) => logRequest(entry, loggers, context, address) }),
    });
  } catch (error) {
    throw Object.assign(ConfigError.at('admin.address', bindFailureText(address.text, error)), {
      cause: error,
    });
  }
}

/** `admin.access_log`, and the older `access_log_path`. @throws ConfigError */
export function adminAccessLoggers(bootstrap: Bootstrap, context: WorkerContext): readonly AccessLogger[] {
  const { admin } = bootstrap;
  if (admin === undefined) return [];
  const loggers = atPath('admin.access_log', () => context.accessLoggers(admin.accessLog));
  return admin.accessLogPath === '' ? loggers : [...loggers, accessLogAt(admin.accessLogPath, context)];
}

function accessLogAt(path: string, context: WorkerContext): AccessLogger {
  const file = create(FileAccessLogSchema, { path });
  const config = create(AccessLogSchema, {
    name: 'envoy.access_loggers.file',
    configType: { case: 'typedConfig', value: anyPack(FileAccessLogSchema, file) },
  });
  try {
    return context.accessLoggers([config])[0] as AccessLogger;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    // The file's own config stands nowhere: what is wrong with it is wrong with the path.
    throw new ConfigError(error.problems.map(({ message }) => ({ path: 'admin.access_log_path', message })));
  }
}

function isLoopback(address: Address): boolean {
  return address.family === 'pipe' || address.ip === '::1' || address.ip.startsWith('127.');
}

function logRequest(
  entry: AdminLogEntry,
  loggers: readonly AccessLogger[],
  context: WorkerContext,
  localAddress: Address,
): void {
  const { clock } = context;
  const remote = Address.of(entry.remoteAddress);
  const connection: ConnectionInfo = {
    id: 0,
    localAddress,
    directRemoteAddress: remote,
    remoteAddress: remote,
    requestedServerName: '',
    applicationProtocols: [],
    transportProtocol: 'raw_buffer',
    tls: undefined,
    negotiatedProtocol: '',
    handshakeComplete: 0,
    startTime: clock.wallTime() - entry.durationMs,
    transportFailureReason: '',
    terminationDetails: '',
  };
  const end = clock.now();
  const info = new StreamInfo(connection, connection.startTime, end - entry.durationMs);
  info.protocol = 'HTTP/1.1';
  info.responseCode = entry.status;
  info.responseCodeDetails = 'admin_filter_response';
  info.bytesSent = entry.responseBytes;
  info.end = end;
  const request = new RequestHeaders();
  request.method = entry.method;
  request.path = entry.path;
  const response = new ResponseHeaders();
  response.status = entry.status;
  for (const logger of loggers) {
    logger.log({ info, request, response, responseTrailers: undefined, type: 'DownstreamEnd' });
  }
}
