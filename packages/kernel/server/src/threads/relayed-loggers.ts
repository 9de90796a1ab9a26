import { levelRank, type Logger, type LoggerFactory, type LogLevel } from '@dragoman/core';
import type { LogLevels, ThreadReport } from './protocol.ts';

/** A thread's loggers: what passes their level is written by main, in the log that all threads share. */
export class RelayedLoggers implements LoggerFactory {
  private readonly post: (report: ThreadReport) => void;
  private readonly loggers = new Map<string, RelayedLogger>();
  private levels: LogLevels;

  constructor(levels: LogLevels, post: (report: ThreadReport) => void) {
    this.levels = levels;
    this.post = post;
  }

  logger(component: string): Logger {
    let logger = this.loggers.get(component);
    if (logger !== undefined) return logger;
    logger = new RelayedLogger(component, this.rankOf(component), this.post);
    this.loggers.set(component, logger);
    // One that main does not know is shown by /logging only when main has made it as well.
    if (!this.levels.byName.some(([name]) => name === component))
      this.post({ kind: 'logger', name: component });
    return logger;
  }

  setLevels(levels: LogLevels): void {
    this.levels = levels;
    for (const [name, logger] of this.loggers) logger.threshold = this.rankOf(name);
  }

  private rankOf(component: string): number {
    const { byName, others } = this.levels;
    return levelRank(byName.find(([name]) => name === component)?.[1] ?? others);
  }
}

class RelayedLogger implements Logger {
  threshold: number;
  private readonly name: string;
  private readonly post: (report: ThreadReport) => void;

  constructor(name: string, threshold: number, post: (report: ThreadReport) => void) {
    this.name = name;
    this.threshold = threshold;
    this.post = post;
  }

  trace(message: string): void {
    this.write('trace', message);
  }

  debug(message: string): void {
    this.write('debug', message);
  }

  info(message: string): void {
    this.write('info', message);
  }

  warn(message: string): void {
    this.write('warning', message);
  }

  error(message: string): void {
    this.write('error', message);
  }

  critical(message: string): void {
    this.write('critical', message);
  }

  enabled(level: LogLevel): boolean {
    return level !== 'off' && this.threshold <= levelRank(level);
  }

  private write(level: LogLevel, message: string): void {
    if (this.threshold <= levelRank(level)) this.post({ kind: 'log', logger: this.name, level, message });
  }
}
