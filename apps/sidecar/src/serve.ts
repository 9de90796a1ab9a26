import { systemClock } from '@dragoman/core';
import { createProxy, validateBootstrap } from '@dragoman/server';
import { SupervisorLink } from '@dragoman/supervisor';
import { extensions } from './extensions.ts';
import { groupSignals } from './group-signals.ts';
import { workerExtensions } from './worker-extensions.ts';
import { inheritedSockets, serviceNotifier } from './service.ts';
import type { Flags } from './flags.ts';
import { run } from './run.ts';

/** {@link run} in this process. */
export async function serve(flags: Flags): Promise<number> {
  // Without a listener or an admin interface there is nothing else that keeps the process.
  const alive = setInterval(() => {}, 2 ** 30);
  const supervisor = SupervisorLink.connect(process);
  try {
    return await run(flags, {
      clock: systemClock,
      extensions,
      workerExtensions,
      supervisor,
      inheritedSockets: () => inheritedSockets(process.env, process.pid),
      notifier: (onError) => serviceNotifier(process.env, onError),
      server: { createProxy, validateBootstrap },
      events: supervisor === undefined ? process : groupSignals(process, supervisor, () => process.exit(1)),
      out: (text) => process.stdout.write(text),
      err: (text) => process.stderr.write(text),
      exit: (code) => process.exit(code),
    });
  } finally {
    clearInterval(alive);
  }
}
