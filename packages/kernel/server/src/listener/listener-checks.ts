import { ConfigError, ProblemCollector } from '@dragoman/core';
import type { ManagedListener } from './managed-listener.ts';

/**
 * No two listeners have the same address: SO_REUSEPORT would let the second one take half of the first one's connections. Nor do those that
 * are not bound: of two, only one could be handed what was made to their address.
 * @throws ConfigError at the later of two
 */
export function checkAddresses(listeners: readonly ManagedListener[]): void {
  const problems = new ProblemCollector();
  const owners = new Map<string, ManagedListener>();
  // Dynamic ones last: a new one is told who was there before.
  for (const listener of [...listeners].sort((a, b) => a.order.id - b.order.id)) {
    listener.targets.forEach(({ address }, i) => {
      const bound = listener.addresses[i] ?? address;
      if (listener.binds && address.family !== 'pipe' && bound.port === 0) return;
      const owner = owners.get(bound.text);
      if (owner === undefined) owners.set(bound.text, listener);
      else problems.add(listener.targetPath(i), `listener "${owner.name}" has ${bound.text} already`);
    });
  }
  problems.throwIfAny();
}

/**
 * Sockets stay as they were bound, whatever the new version says.
 * @param kept for each address of `listener` the one of `before` whose sockets it takes over
 * @throws ConfigError for what would have to be bound anew while the old one has it
 */
export function checkUpdate(
  listener: ManagedListener,
  before: ManagedListener,
  kept: readonly (number | undefined)[],
): void {
  const hint = 'remove the listener first, or use another address';
  // Envoy's rule, also where no address is kept.
  if (listener.reusePort !== before.reusePort)
    throw ConfigError.at('enable_reuse_port', `cannot be changed while the listener is there; ${hint}`);
  listener.targets.forEach(({ ipv6Only }, i) => {
    const from = kept[i];
    if (from === undefined || before.targets[from]?.ipv6Only === ipv6Only) return;
    const path = `${listener.targetPath(i)}.socket_address.ipv4_compat`;
    throw ConfigError.at(path, `cannot be changed while the listener is at this address; ${hint}`);
  });
}
