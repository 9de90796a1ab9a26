import type { Host, RandomSource } from '@dragoman/core';

/**
 * A list of hosts in an order that was drawn: each host draws its place once, so that the order stays when hosts come and go or change
 * their health, and every order is as likely as the others.
 */
export class HostOrder {
  private readonly random: RandomSource;
  private readonly places = new WeakMap<Host, number>();

  constructor(random: RandomSource) {
    this.random = random;
  }

  /** Undefined when there are none. */
  first(hosts: readonly Host[]): Host | undefined {
    let best: Host | undefined;
    let bestPlace = Number.POSITIVE_INFINITY;
    for (const host of hosts) {
      const place = this.placeOf(host);
      if (place >= bestPlace) continue;
      best = host;
      bestPlace = place;
    }
    return best;
  }

  private placeOf(host: Host): number {
    let place = this.places.get(host);
    if (place === undefined) {
      place = this.random.next();
      this.places.set(host, place);
    }
    return place;
  }
}
