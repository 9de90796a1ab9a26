import { writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import type { Bootstrap, LoadedConfig } from '@dragoman/api';
import { type Clock, ConfigError, type Counter, type Extension } from '@dragoman/core';
import {
  availableCores,
  createServerLog,
  describeThrown,
  Faults,
  type InheritedSocket,
  type ProxyOptions,
  type ServerFlags,
  type ServerLog,
} from '@dragoman/server';
import { commandLineOptions, DEFAULT_DRAIN_TIME_S } from './command-line-options.ts';
import { configName, disabledNames, loadFromFlags, logWarnings, problemLines } from './config.ts';
import type { Flags } from './flags.ts';
import { fullVersion, packageVersion } from './version.ts';

/** What `run` uses of a proxy. */
export interface RunningProxy {
  readonly adminAddress: { readonly text: string } | undefined;
  readonly stats: { createThread(): { counter(name: string): Counter } };
  drain(options: { readonly timeMs: number }): Promise<void>;
  close(): Promise<void>;
  reopenLogs(): void;
}

/** The service manager that has started this process, if there is one. */
export interface Notifier {
  ready(): void;
  stopping(): void;
  startWatchdog(healthy: () => boolean): void;
  close(): void;
}

/** The process around the proxy; tests put their own in its place. */
export interface Surroundings {
  readonly clock: Clock;
  readonly extensions: readonly Extension[];
  /** The module that exports them: what a worker thread imports. */
  readonly workerExtensions: URL;
  /** The link of a process that `dragoman supervise` has started. */
  readonly supervisor: ProxyOptions['supervisor'];
  /** @throws Error when the environment that speaks of them is malformed */
  inheritedSockets(): readonly InheritedSocket[];
  /** @throws Error when the environment that speaks of it is malformed */
  notifier(onError: (error: Error) => void): Notifier;
  readonly server: {
    createProxy(options: ProxyOptions): Promise<RunningProxy>;
    validateBootstrap(options: ProxyOptions): Promise<void>;
  };
  /** Signals and what nobody caught. */
  readonly events: Pick<NodeJS.EventEmitter, 'on' | 'off'>;
  out(text: string): void;
  err(text: string): void;
  /** Ends the process at once. */
  exit(code: number): void;
}

/** What is waited for after SIGTERM when `--drain-time-s` is not given: supervisors usually grant 30 s. */
const SHUTDOWN_DRAIN_MS = 25_000;
/** Closing has nothing to wait for but files. */
const CLOSE_MS = 5000;
/** The same for somebody who has no patience left. */
const AT_ONCE_MS = 1000;

/**
 * Does what the flags ask for, until it is over.
 * @returns the exit code: 0, or 1 when the configuration cannot be used or the proxy cannot start
 */
export async function run(flags: Flags, around: Surroundings): Promise<number> {
  let log: ServerLog;
  try {
    log = openLog(flags, around);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    around.err(`dragoman: ${problemLines(error).join('\n')}\n`);
    return 1;
  }
  try {
    const main = log.logger('main');
    for (const warning of flags.warnings) main.warn(warning);
    checkHotRestart(flags, around);
    const config = loadFromFlags(flags);
    logWarnings(config, flags, log.logger('config'));
    const options = proxyOptions(flags, around, config, log);
    if (flags.mode === 'validate') {
      await around.server.validateBootstrap(options);
      around.out(`configuration '${configName(flags)}' OK\n`);
      return 0;
    }
    return await new Life(flags, around, log).live(options);
  } catch (error) {
    report(error, flags, around, log);
    return 1;
  } finally {
    log.close();
  }
}

/** @throws ConfigError for what the flags ask for and nobody is there to do */
function checkHotRestart(flags: Flags, { supervisor }: Surroundings): void {
  if (supervisor !== undefined && flags.disableHotRestart) {
    throw ConfigError.at(
      '',
      '--disable-hot-restart: this process is supervised, which is for hot restarts; leave out one of the two',
    );
  }
  if (supervisor !== undefined || flags.restartEpoch === 0 || flags.disableHotRestart) return;
  if (flags.skipHotRestartOnNoParent) return;
  throw ConfigError.at(
    '',
    `--restart-epoch ${flags.restartEpoch}: nobody is there to take over from; hot restarts are done by dragoman supervise -- <flags>, which sets this flag itself`,
  );
}

/** A number that no other proxy of this machine has: that of the process which is there over all restarts. */
function chooseBaseId({ supervisor }: Surroundings): number {
  return supervisor === undefined ? process.pid : process.ppid;
}

/** An empty path is none, as in Envoy. */
function hasLogFile(flags: Flags): flags is Flags & { readonly logPath: string } {
  return flags.logPath !== undefined && flags.logPath !== '';
}

function openLog(flags: Flags, { clock }: Surroundings): ServerLog {
  return createServerLog({
    clock,
    level: flags.logLevel,
    componentLevels: flags.componentLevels,
    escaped: flags.logFormatEscaped,
    version: packageVersion(),
    ...(flags.logFormat === undefined ? {} : { format: flags.logFormat }),
    ...(hasLogFile(flags) ? { path: flags.logPath } : {}),
  });
}

/** Why there is no proxy: on standard error for who started it, and in the log when that is elsewhere. */
function report(error: unknown, flags: Flags, around: Surroundings, log: ServerLog): void {
  const main = log.logger('main');
  if (!(error instanceof ConfigError)) {
    around.err(`dragoman: cannot start: ${error instanceof Error ? error.message : String(error)}\n`);
    main.critical(`cannot start: ${describeThrown(error)}`);
    return;
  }
  const lines = problemLines(error);
  around.err(`${lines.join('\n')}\n`);
  if (!hasLogFile(flags)) return;
  for (const line of lines) main.critical(`error initializing configuration '${configName(flags)}': ${line}`);
}

function proxyOptions(
  flags: Flags,
  around: Surroundings,
  bootstrap: LoadedConfig<Bootstrap>,
  log: ServerLog,
): ProxyOptions {
  const { supervisor } = around;
  const baseId = flags.baseId ?? chooseBaseId(around);
  // A validation beside a running proxy leaves that one's number alone.
  if (flags.mode !== 'validate' && flags.baseIdPath) writeBaseId(flags.baseIdPath, baseId);
  const serverFlags: ServerFlags = {
    serviceCluster: flags.serviceCluster ?? '',
    serviceNode: flags.serviceNode ?? '',
    serviceZone: flags.serviceZone ?? '',
    localAddressIpVersion: flags.localAddressIpVersion,
    concurrency: flags.concurrency ?? availableCores(),
    drainTimeMs: (flags.drainTimeS ?? DEFAULT_DRAIN_TIME_S) * 1000,
    drainStrategy: flags.drainStrategy,
    parentShutdownTimeMs: flags.parentShutdownTimeS * 1000,
    mode: flags.mode,
    fileFlushIntervalMs: flags.fileFlushIntervalMs,
    fileFlushMinBytes: flags.fileFlushMinSizeKb * 1024,
    unknownDynamicFields: flags.unknownDynamicFields,
    configHistory: flags.configHistory,
    disabledExtensions: disabledNames(flags.disabledExtensions, around.extensions, log.logger('config')),
    statsTags: flags.statsTags,
    version: fullVersion(),
    skipParentStats: flags.skipHotRestartParentStats,
    commandLine: commandLineOptions(flags, baseId),
  };
  return {
    bootstrap,
    extensions: around.extensions,
    threads: flags.inThread ? 'inline' : { extensions: around.workerExtensions },
    log,
    flags: serverFlags,
    clock: around.clock,
    supervisor,
    inheritedSockets: supervisor === undefined && flags.mode === 'serve' ? around.inheritedSockets() : [],
  };
}

/** @throws ConfigError when the file cannot be written */
function writeBaseId(path: string, baseId: number): void {
  try {
    writeFileSync(path, String(baseId));
  } catch (error) {
    throw ConfigError.at('', `--base-id-path: cannot write "${path}": ${(error as Error).message}`);
  }
}

type Signal = 'SIGTERM' | 'SIGINT';

/** One run of a proxy, from its start to its end. */
class Life {
  private readonly flags: Flags;
  private readonly around: Surroundings;
  private readonly log: ServerLog;
  private readonly faults: Faults;
  private proxy: RunningProxy | undefined = undefined;
  /** The signal that ends it. */
  private signal: Signal | undefined = undefined;
  /** Settles when it is to end: with a signal, by the admin interface, or by a fault before it served. */
  private readonly over = Promise.withResolvers<Signal | 'quit' | 'fault'>();
  /** `/quitquitquit`, which does not wait for connections: not for a drain that has begun either. */
  private readonly quit = Promise.withResolvers<void>();

  constructor(flags: Flags, around: Surroundings, log: ServerLog) {
    this.flags = flags;
    this.around = around;
    this.log = log;
    this.faults = new Faults(around.clock, log.logger('main'));
  }

  async live(options: ProxyOptions): Promise<number> {
    const unhook = this.hook();
    try {
      return await this.serve(options);
    } finally {
      unhook();
    }
  }

  private async serve(options: ProxyOptions): Promise<number> {
    const main = this.log.logger('main');
    // First: what is wrong with its variables is found before anybody is served.
    const notifier = this.around.notifier((error) =>
      main.warn(`cannot tell the service manager how this process is: ${error.message}`),
    );
    const started = this.around.server.createProxy({ ...options, onQuit: () => this.onQuit() });
    const first = await Promise.race([started, this.over.promise]);
    if (typeof first === 'string') {
      // Not there yet: nobody is served, so nobody is drained.
      started.then((proxy) => proxy.close()).catch(() => {});
      main.info('ended before it served');
      return first === 'fault' ? 1 : 0;
    }
    const proxy = first;
    this.proxy = proxy;
    this.faults.countIn(proxy.stats.createThread().counter('server.envoy_bug_failures'));
    this.writeAdminAddress(proxy);
    if (this.flags.mode === 'serve') {
      main.info('starting main dispatch loop');
      notifier.ready();
      notifier.startWatchdog(() => true);
      const cause = await this.over.promise;
      notifier.stopping();
      if (cause !== 'quit') await this.drain(proxy);
    }
    await this.bounded('closing', CLOSE_MS, proxy.close());
    notifier.close();
    main.info('exiting');
    return 0;
  }

  private async drain(proxy: RunningProxy): Promise<void> {
    const { drainTimeS } = this.flags;
    const timeMs = drainTimeS === undefined ? SHUTDOWN_DRAIN_MS : drainTimeS * 1000;
    this.log.logger('main').info(`draining connections, for ${timeMs / 1000} s at most`);
    const drained = proxy.drain({ timeMs });
    await this.bounded('draining', timeMs + CLOSE_MS, Promise.race([drained, this.quit.promise]));
  }

  /** Waits, but not for ever, and does not fail: what follows has to happen in any case. */
  private async bounded(what: string, timeMs: number, work: Promise<void>): Promise<void> {
    const late = Promise.withResolvers<'late'>();
    const timer = this.around.clock.timer(() => late.resolve('late'));
    timer.enable(timeMs);
    try {
      if ((await Promise.race([work, late.promise])) === 'late') {
        this.log.logger('main').error(`${what} took longer than ${timeMs} ms`);
      }
    } catch (error) {
      this.log.logger('main').error(`${what} failed: ${describeThrown(error)}`);
    } finally {
      timer.disable();
    }
  }

  private writeAdminAddress(proxy: RunningProxy): void {
    const { adminAddressPath } = this.flags;
    if (adminAddressPath === undefined || adminAddressPath === '' || proxy.adminAddress === undefined) return;
    try {
      writeFileSync(adminAddressPath, proxy.adminAddress.text);
    } catch (error) {
      const reason = (error as Error).message;
      this.log.logger('admin').critical(`cannot write the admin address to "${adminAddressPath}": ${reason}`);
    }
  }

  /** Listens to signals and faults; gives back how to stop that. */
  private hook(): () => void {
    const { events } = this.around;
    const handlers: [string, (value: unknown) => void][] = [
      ['SIGTERM', () => this.onSignal('SIGTERM')],
      ['SIGINT', () => this.onSignal('SIGINT')],
      ['SIGUSR1', () => this.reopenLogs()],
      [
        'SIGHUP',
        () => this.log.logger('main').warn('caught SIGHUP: ignored; dragoman supervise restarts on it'),
      ],
      ['uncaughtException', (error) => this.onFault('uncaught exception', error)],
      ['unhandledRejection', (error) => this.onFault('unhandled rejection', error)],
    ];
    for (const [name, handler] of handlers) events.on(name, handler);
    return () => {
      for (const [name, handler] of handlers) events.off(name, handler);
    };
  }

  private onQuit(): void {
    this.over.resolve('quit');
    this.quit.resolve();
  }

  private onSignal(signal: Signal): void {
    const main = this.log.logger('main');
    if (this.signal !== undefined) {
      main.warn(`caught ${signal} again: ending at once`);
      void this.endAtOnce(128 + constants.signals[signal]);
      return;
    }
    this.signal = signal;
    main.warn(`caught ${signal}`);
    this.over.resolve(signal);
  }

  /** What was logged is on worker threads: they get a moment to write it. */
  private async endAtOnce(code: number): Promise<void> {
    if (this.proxy !== undefined) await this.bounded('closing', AT_ONCE_MS, this.proxy.close());
    this.around.exit(code);
  }

  private onFault(kind: string, thrown: unknown): void {
    this.faults.record(kind, thrown);
    if (this.proxy === undefined) this.over.resolve('fault');
  }

  private reopenLogs(): void {
    this.log.logger('main').info('caught SIGUSR1: reopening logs');
    this.log.reopen();
    this.proxy?.reopenLogs();
  }
}
