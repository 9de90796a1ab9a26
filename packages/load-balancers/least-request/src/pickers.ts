import type { Host, HostPicker, RandomSource } from '@dragoman/core';

/** Draws a few hosts and takes the one with the fewest open requests; of equal ones the first drawn. */
export class ChoicePicker implements HostPicker {
  private readonly hosts: readonly Host[];
  private readonly random: RandomSource;
  private readonly choices: number;

  /** @param choices at least 1. The same host may be drawn twice, as in Envoy */
  constructor(hosts: readonly Host[], random: RandomSource, choices: number) {
    this.hosts = hosts;
    this.random = random;
    this.choices = choices;
  }

  pick(): Host | undefined {
    const { hosts, random } = this;
    const count = hosts.length;
    let best = hosts[random.next() % count];
    for (let i = 1; i < this.choices; i++) {
      const other = hosts[random.next() % count];
      if (other.activeRequests < best.activeRequests) best = other;
    }
    return best;
  }
}

/** Looks at all hosts. Of those with the fewest open requests each is as likely as the others. */
export class ScanPicker implements HostPicker {
  private readonly hosts: readonly Host[];
  private readonly random: RandomSource;

  constructor(hosts: readonly Host[], random: RandomSource) {
    this.hosts = hosts;
    this.random = random;
  }

  pick(): Host | undefined {
    const { hosts, random } = this;
    let best = hosts[0];
    let tied = 1;
    for (let i = 1; i < hosts.length; i++) {
      const other = hosts[i];
      if (other.activeRequests > best.activeRequests) continue;
      if (other.activeRequests < best.activeRequests) {
        best = other;
        tied = 1;
        continue;
      }
      // The n-th of equal ones takes the place of those before with a chance of 1 in n.
      tied++;
      if (random.next() % tied === 0) best = other;
    }
    return best;
  }
}
