/** Envoy's log levels, least to most severe. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warning', 'error', 'critical', 'off'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** The place of a level in {@link LOG_LEVELS}: a message passes a logger whose level has none behind it. */
export const levelRank = (level: LogLevel): number => LOG_LEVELS.indexOf(level);

/** The proxy's own log (not the access log). One logger a component, levels changeable while running. */
export interface Logger {
  trace(message: string): void;
  debug(message: string): void;
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
  critical(message: string): void;
  /** True when a message of this level would be written: guards building an expensive message. */
  enabled(level: LogLevel): boolean;
}

/** Hands out one logger for each component name (Envoy's: `main`, `config`, `http`, `upstream`, `router`, …). */
export interface LoggerFactory {
  logger(component: string): Logger;
}

const ignore = (): void => {};

/** A logger that writes nothing. */
export const silentLogger: Logger = {
  trace: ignore,
  debug: ignore,
  info: ignore,
  warn: ignore,
  error: ignore,
  critical: ignore,
  enabled: () => false,
};
