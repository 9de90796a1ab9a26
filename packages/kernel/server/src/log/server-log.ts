import { isMainThread, threadId } from 'node:worker_threads';
import {
  type Clock,
  LOG_LEVELS,
  levelRank,
  type Logger,
  type LoggerFactory,
  type LogLevel,
} from '@dragoman/core';
import { LOG_COMPONENTS } from './components.ts';
import type { LineFormat, LogThread } from './entry.ts';
import { escapeAll, toJsonLine } from './escape.ts';
import { compilePattern, DEFAULT_LOG_PATTERN } from './pattern.ts';
import { SourcePositions } from './source-positions.ts';
import { DescriptorSink, FunctionSink, type LogFileSystem, type LogSink } from './sink.ts';

export interface ServerLogOptions {
  readonly clock: Pick<Clock, 'wallTime'>;
  /** Of every logger that {@link componentLevels} does not name; default `info` (`--log-level`). */
  readonly level?: LogLevel;
  /** By component name (`--component-log-level`). */
  readonly componentLevels?: Readonly<Record<string, LogLevel>>;
  /** `json`: one object a line; else a pattern in spdlog's syntax; default {@link DEFAULT_LOG_PATTERN} (`--log-format`). */
  readonly format?: string;
  /** Escapes backslashes and quotes in messages too (`--log-format-escaped`); default false. Control characters always are. */
  readonly escaped?: boolean;
  /** A file to append to (`--log-path`); default: standard error. */
  readonly path?: string;
  /** Takes the lines instead, without line ends. */
  readonly write?: (line: string) => void;
  /** What `%N` prints. */
  readonly version?: string;
  /** What `%P` and `%t` print; default: of this process and thread. */
  readonly thread?: LogThread;
  /** For tests. */
  readonly files?: LogFileSystem;
}

/** The proxy's own log: a logger a component, levels changeable while running. Written at once; nothing in it throws. */
export interface ServerLog extends LoggerFactory {
  /** Every logger with its level, Envoy's in its order, then those made besides. */
  loggers(): readonly { readonly name: string; readonly level: LogLevel }[];
  /**
   * Sets the level of one logger, or with `undefined` of every logger and those made later.
   * @returns false when there is no logger of that name
   */
  setLevel(name: string | undefined, level: LogLevel): boolean;
  /** Opens the file anew, after it was moved away. */
  reopen(): void;
  /** The same loggers, whose lines bear the number of another thread of this process (Node's `threadId`). */
  ofThread(threadId: number): LoggerFactory;
  /** Writes nothing from now on. */
  close(): void;
}

/** Characters of a message that are written; the rest is counted. */
const MAX_MESSAGE = 32 * 1024;

/** @throws ConfigError for a format that is not valid or a file that cannot be opened. */
export function createServerLog(options: ServerLogOptions): ServerLog {
  const format = compileFormat(options);
  const line = (level: LogLevel, logger: string, message: string, threadId?: number) =>
    format({ level, logger, message, wallTime: options.clock.wallTime(), threadId });
  const notice = (dropped: number) =>
    line('warning', 'file', `${dropped} lines of this log were dropped: nobody read it`);
  const sink =
    options.write !== undefined
      ? new FunctionSink(options.write)
      : new DescriptorSink(options.path, notice, options.files);
  return new ComponentLogs(options, new LogWriter(line, sink));
}

/** Writes nothing; levels can be set all the same. */
export function silentServerLog(): ServerLog {
  return createServerLog({ level: 'off', clock: { wallTime: () => 0 }, write: () => {} });
}

function compileFormat(options: ServerLogOptions): LineFormat {
  // Node does not tell thread numbers of the operating system; Linux gives a process's threads the numbers after its own.
  const thread = options.thread ?? {
    processId: process.pid,
    threadId: isMainThread ? process.pid : process.pid + threadId,
  };
  const escaped = options.escaped ?? false;
  if (options.format !== 'json') {
    const version = options.version ?? '';
    return compilePattern(options.format ?? DEFAULT_LOG_PATTERN, { thread, escaped, version });
  }
  return ({ level, logger, message, wallTime, threadId }) =>
    toJsonLine({
      time: new Date(wallTime).toISOString(),
      level,
      logger,
      message: escaped ? escapeAll(message) : message,
      thread: threadId ?? thread.threadId,
    });
}

/** Of the bundle, when this is part of one. */
const positions = new SourcePositions(import.meta.dirname);

class LogWriter {
  readonly sink: LogSink;
  private readonly line: (level: LogLevel, logger: string, message: string, threadId?: number) => string;

  constructor(line: LogWriter['line'], sink: LogSink) {
    this.line = line;
    this.sink = sink;
  }

  write(level: LogLevel, logger: string, message: string, threadId?: number): void {
    const more = message.length - MAX_MESSAGE;
    const text = more > 0 ? `${message.slice(0, MAX_MESSAGE)}… (${more} more characters)` : message;
    const readable = level === 'error' || level === 'critical' ? positions.apply(text) : text;
    this.sink.write(this.line(level, logger, readable, threadId));
  }
}

const TRACE = levelRank('trace');
const DEBUG = levelRank('debug');
const INFO = levelRank('info');
const WARNING = levelRank('warning');
const ERROR = levelRank('error');
const CRITICAL = levelRank('critical');
const OFF = levelRank('off');

/** A level that may change, which the loggers of several threads have in common. */
interface Threshold {
  /** Rank of the least severe level that is written. */
  threshold: number;
}

class ComponentLogger implements Logger {
  readonly name: string;
  private readonly level: Threshold;
  private readonly writer: LogWriter;
  private readonly threadId: number | undefined;

  constructor(name: string, level: Threshold, writer: LogWriter, threadId?: number) {
    this.name = name;
    this.level = level;
    this.writer = writer;
    this.threadId = threadId;
  }

  trace(message: string): void {
    this.write(TRACE, 'trace', message);
  }

  debug(message: string): void {
    this.write(DEBUG, 'debug', message);
  }

  info(message: string): void {
    this.write(INFO, 'info', message);
  }

  warn(message: string): void {
    this.write(WARNING, 'warning', message);
  }

  error(message: string): void {
    this.write(ERROR, 'error', message);
  }

  critical(message: string): void {
    this.write(CRITICAL, 'critical', message);
  }

  enabled(level: LogLevel): boolean {
    const wanted = levelRank(level);
    return wanted !== OFF && this.level.threshold <= wanted;
  }

  private write(severity: number, level: LogLevel, message: string): void {
    if (this.level.threshold <= severity) this.writer.write(level, this.name, message, this.threadId);
  }
}

/** A component with its level, and its logger of the log's own thread. */
interface Component extends Threshold {
  readonly name: string;
  readonly logger: Logger;
}

class ComponentLogs implements ServerLog {
  private readonly byName = new Map<string, Component>();
  private readonly writer: LogWriter;
  private threshold: number;

  constructor(options: ServerLogOptions, writer: LogWriter) {
    this.writer = writer;
    this.threshold = levelRank(options.level ?? 'info');
    for (const name of LOG_COMPONENTS) this.logger(name);
    for (const [name, level] of Object.entries(options.componentLevels ?? {})) {
      this.component(name).threshold = levelRank(level);
    }
  }

  logger(name: string): Logger {
    return this.component(name).logger;
  }

  ofThread(threadId: number): LoggerFactory {
    // As Linux counts: see LogThread.
    const number = process.pid + threadId;
    return { logger: (name) => new ComponentLogger(name, this.component(name), this.writer, number) };
  }

  loggers(): { name: string; level: LogLevel }[] {
    return [...this.byName.values()].map(({ name, threshold }) => ({ name, level: LOG_LEVELS[threshold] }));
  }

  setLevel(name: string | undefined, level: LogLevel): boolean {
    if (name !== undefined) {
      const logger = this.byName.get(name);
      if (logger === undefined) return false;
      logger.threshold = levelRank(level);
      return true;
    }
    this.threshold = levelRank(level);
    for (const logger of this.byName.values()) logger.threshold = this.threshold;
    return true;
  }

  reopen(): void {
    const problem = this.writer.sink.reopen();
    if (problem !== undefined) this.logger('file').error(problem);
  }

  close(): void {
    this.writer.sink.close();
  }

  private component(name: string): Component {
    const known = this.byName.get(name);
    if (known !== undefined) return known;
    const level: Threshold = { threshold: this.threshold };
    const logger = new ComponentLogger(name, level, this.writer);
    // One object: its level is what the loggers of all threads look at.
    const component: Component = Object.assign(level, { name, logger });
    this.byName.set(name, component);
    return component;
  }
}
