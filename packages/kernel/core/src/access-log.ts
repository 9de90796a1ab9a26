import type { HeaderMap, RequestHeaders, ResponseHeaders, Trailers } from './header-map.ts';
import type { MetadataValue, StreamInfo } from './stream-info.ts';

/** When an entry is written (Envoy: AccessLogType). */
export type AccessLogType =
  | 'NotSet'
  | 'TcpUpstreamConnected'
  | 'TcpPeriodic'
  | 'TcpConnectionEnd'
  | 'DownstreamStart'
  | 'DownstreamPeriodic'
  | 'DownstreamEnd'
  | 'UpstreamPoolReady'
  | 'UpstreamPeriodic'
  | 'UpstreamEnd'
  | 'UdpTunnelUpstreamConnected'
  | 'UdpPeriodic'
  | 'UdpSessionEnd';

/** Everything an entry or a header formatter may be made from. Absent parts print as `-`. */
export interface LogContext {
  readonly info: StreamInfo;
  readonly request: RequestHeaders | undefined;
  readonly response: ResponseHeaders | undefined;
  readonly responseTrailers: Trailers | undefined;
  readonly requestTrailers?: Trailers | undefined;
  /** A string of bytes. */
  readonly localReplyBody?: string;
  readonly type: AccessLogType;
}

/** Writes entries. Made once from config; called at the end of every stream. */
export interface AccessLogger {
  log(context: LogContext): void;
}

/** Decides whether an entry is written. */
export type AccessLogFilter = (context: LogContext) => boolean;

/** A compiled text format. */
export interface TextFormatter {
  format(context: LogContext): string;
}

/** One `%OPERATOR%`, compiled: text for text formats, a typed value for `typed_json_format`. */
export interface FieldFormatter {
  /** Undefined when it has no value (printed as `-`). */
  text(context: LogContext): string | undefined;
  value(context: LogContext): MetadataValue | undefined;
}

/** An operator that an extension adds to the format language (category `formatters`). */
export interface FormatterCommand {
  /** Undefined when `command` is not this extension's. Throws ConfigError when its arguments are wrong. */
  parse(
    command: string,
    subcommand: string | undefined,
    maxLength: number | undefined,
  ): FieldFormatter | undefined;
}

/** Compiles formats; implemented by `kernel/access-log`, handed out on contexts. */
export interface FormatterFactory {
  /**
   * @param format Envoy's command language: `%REQ(:path)% %BYTES_SENT% …`
   * @throws ConfigError for an unknown operator or broken syntax.
   */
  text(format: string, options?: FormatterOptions): TextFormatter;
  /** Of a `SubstitutionFormatString` message. The entry ends with what the format says: text as it is, JSON with a newline. */
  fromConfig(config: unknown, options?: FormatterOptions): TextFormatter;
  /** Envoy's default access-log line, newline included. */
  readonly default: TextFormatter;
}

export interface FormatterOptions {
  readonly omitEmptyValues?: boolean;
  /** Of `json_format`: every value a string, as the deprecated `json_format` of the file access log has it. Default false. */
  readonly valuesAsText?: boolean;
  readonly commands?: readonly FormatterCommand[];
}

/** A log file shared by everything that writes to the same path. */
export interface LogFile {
  /** Queues `entry`; written in batches. Never blocks, never throws. */
  write(entry: string): void;
}

/** Opens log files. Flushes on its interval (10 s, Envoy's `--file-flush-interval-msec`) or when 64 KiB are queued, and on exit. */
export interface LogFiles {
  /** A path, or `/dev/stdout` and `/dev/stderr`. The same path gives the same file. */
  open(path: string): LogFile;
}

/** Reads one header for `%REQ(X?Y):Z%` and its kin. */
export function headerOrAlternative(
  headers: HeaderMap | undefined,
  name: string,
  alternative: string | undefined,
): string | undefined {
  if (headers === undefined) return undefined;
  return headers.getJoined(name) ?? (alternative === undefined ? undefined : headers.getJoined(alternative));
}
