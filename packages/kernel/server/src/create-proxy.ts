import { type LogLevel, silentLogger, systemClock, systemRandom } from '@dragoman/core';
import { availableCores } from './available-cores.ts';
import { type Assembly, assemble, dismantle, type FullOptions, located, readBootstrap } from './assemble.ts';
import { DEFAULT_VERSIONS } from './history/config-history.ts';
import { HotRestart } from './hot-restart/hot-restart.ts';
import { SuppliedSockets } from './hot-restart/supplied-sockets.ts';
import { InheritedSockets, OwnSockets } from './listener/listen-sockets.ts';
import type { ProxyOptions, Proxy as ServedProxy, ServerFlags, ServerLoggers } from './proxy.ts';
import { RunningProxy } from './running-proxy.ts';

const DEFAULT_FLAGS: ServerFlags = {
  serviceCluster: '',
  serviceNode: '',
  serviceZone: '',
  localAddressIpVersion: 'v4',
  concurrency: availableCores(),
  drainTimeMs: 600_000,
  drainStrategy: 'gradual',
  parentShutdownTimeMs: 900_000,
  mode: 'serve',
  fileFlushIntervalMs: 10_000,
  fileFlushMinBytes: 64 * 1024,
  unknownDynamicFields: 'warn',
  configHistory: DEFAULT_VERSIONS,
  disabledExtensions: [],
  statsTags: [],
  skipParentStats: false,
  version: 'dragoman',
  commandLine: {},
};

const SILENT: ServerLoggers = {
  logger: () => silentLogger,
  loggers: () => [],
  setLevel(_name: string | undefined, _level: LogLevel) {},
};

/** An embedded proxy has no command line: `/server_info` then shows what its flags amount to. */
function withCommandLine(flags: ServerFlags): ServerFlags {
  if (Object.keys(flags.commandLine).length > 0) return flags;
  const { concurrency, serviceCluster, serviceNode, serviceZone, drainTimeMs, parentShutdownTimeMs } = flags;
  const seconds = (ms: number): string => `${ms / 1000}s`;
  return {
    ...flags,
    commandLine: {
      concurrency,
      serviceCluster,
      serviceNode,
      serviceZone,
      drainTime: seconds(drainTimeMs),
      parentShutdownTime: seconds(parentShutdownTimeMs),
      fileFlushInterval: seconds(flags.fileFlushIntervalMs),
      localAddressIpVersion: flags.localAddressIpVersion,
      disabledExtensions: flags.disabledExtensions,
    },
  };
}

function withDefaults(options: ProxyOptions, bootstrap: FullOptions['bootstrap']): FullOptions {
  const { supervisor, inheritedSockets = [] } = options;
  return {
    extensions: options.extensions,
    log: options.log ?? SILENT,
    threads: options.threads ?? 'inline',
    subscriptions: options.subscriptions,
    clock: options.clock ?? systemClock,
    random: options.random ?? systemRandom,
    bootstrap,
    flags: withCommandLine({ ...DEFAULT_FLAGS, ...options.flags }),
    sockets:
      supervisor === undefined
        ? new InheritedSockets(inheritedSockets, new OwnSockets())
        : new SuppliedSockets(supervisor),
  };
}

type Loaded = ReturnType<typeof readBootstrap>['loaded'];

/** Refuses deprecated fields besides, where runtime says so. */
async function assembleFrom(options: FullOptions, loaded: Loaded): Promise<Assembly> {
  const parts = await assemble(options);
  try {
    parts.runtime.noteDeprecated(loaded?.warnings ?? []);
  } catch (error) {
    await dismantle(parts);
    throw error;
  }
  return parts;
}

/**
 * Starts a proxy: compiles the config, waits for the clusters' first hosts, binds the listeners. Nothing stays behind
 * when it fails.
 *
 * @throws ConfigError with every problem found
 */
export async function createProxy(options: ProxyOptions): Promise<ServedProxy> {
  const { bootstrap, loaded } = readBootstrap(options.bootstrap);
  return located(loaded, async () => {
    const full = withDefaults(options, bootstrap);
    const parts = await assembleFrom(full, loaded);
    parts.rootScope.counter('server.static_unknown_fields').add(loaded?.messagesWithUnknownFields ?? 0);
    const { supervisor } = options;
    const hotRestart = supervisor && new HotRestart(supervisor, parts);
    const proxy = new RunningProxy(parts, options.onQuit, hotRestart);
    try {
      await proxy.start();
      const { sockets } = full;
      if (sockets instanceof InheritedSockets)
        for (const address of sockets.unused)
          parts.log
            .logger('config')
            .warn(
              `an inherited socket has the address ${address}, and no listener: what connects there waits in vain`,
            );
    } catch (error) {
      await proxy.close();
      throw error;
    }
    return proxy;
  });
}

/**
 * Compiles everything and binds nothing.
 * @throws ConfigError with every problem found
 */
export async function validateBootstrap(options: ProxyOptions): Promise<void> {
  const { bootstrap, loaded } = readBootstrap(options.bootstrap);
  const alone = { ...options, threads: 'inline', supervisor: undefined } as const;
  await located(loaded, async () => dismantle(await assembleFrom(withDefaults(alone, bootstrap), loaded)));
}
