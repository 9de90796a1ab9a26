import type { AccessLogger, LogContext, LogFile, TextFormatter, WorkerContext } from '@dragoman/core';
import { type LineFormat, readLineFormat } from './line-format.ts';

/** Writes each entry to a log file. */
class LineLogger implements AccessLogger {
  private readonly formatter: TextFormatter;
  private readonly file: LogFile;

  constructor(formatter: TextFormatter, file: LogFile) {
    this.formatter = formatter;
    this.file = file;
  }

  log(context: LogContext): void {
    this.file.write(this.formatter.format(context));
  }
}

/**
 * Makes a logger that writes to one of the proxy's log files.
 *
 * @param path of the file; `/dev/stdout` and `/dev/stderr` are the process's own. It is opened only when the format is right
 * @throws ConfigError as {@link readLineFormat} does, and when the file cannot be opened
 */
export function createLineLogger(format: LineFormat, path: string, context: WorkerContext): AccessLogger {
  const formatter = readLineFormat(format, context);
  return new LineLogger(formatter, context.logFiles.open(path));
}
