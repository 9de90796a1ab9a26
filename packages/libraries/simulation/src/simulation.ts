import { FakeClock, SeededRandom } from '@dragoman/testing';
import { Network } from './network.ts';
import { OpenLoop, type OpenLoopOptions } from './open-loop.ts';
import { SimProxy, type ProxyOptions } from './proxy.ts';

/** What distinguishes a simulation. */
export interface SimulationOptions {
  /** The same seed, the same figures. Default 1. */
  readonly seed?: number;
}

/** One world: a clock, a network, proxies and clients. Everything happens in the order of virtual time, and as often as it is run the same way. */
export class Simulation {
  readonly clock = new FakeClock();
  readonly network: Network;
  private readonly seeds: SeededRandom;
  private readonly startedAt = this.clock.now();

  constructor({ seed = 1 }: SimulationOptions = {}) {
    this.seeds = new SeededRandom(seed);
    this.network = new Network(this.clock, this.newRandom());
  }

  /** Milliseconds since the start. */
  get now(): number {
    return this.clock.now() - this.startedAt;
  }

  /** Random numbers of its own for each user, so that what one draws does not change what others get. */
  newRandom(): SeededRandom {
    return new SeededRandom(this.seeds.next());
  }

  /** @throws ConfigError for a config that is wrong */
  addProxy(options: ProxyOptions): SimProxy {
    return new SimProxy(options, this.clock, this.newRandom(), this.network);
  }

  /** Clients that send at their rate, whatever comes of it. */
  addClients(options: OpenLoopOptions): OpenLoop {
    return new OpenLoop(options, this.clock, this.startedAt, this.newRandom());
  }

  /** Calls at a time, milliseconds since the start; one that has passed is now. */
  at(ms: number, action: () => void): void {
    this.clock.timer(action).enable(ms - this.now);
  }

  /** Calls every `ms` from the start on, for as long as the simulation is run. */
  every(ms: number, action: () => void): void {
    const timer = this.clock.timer(() => {
      timer.enable(ms);
      action();
    });
    timer.enable(ms);
  }

  /** Runs up to a time, milliseconds since the start. */
  runUntil(ms: number): void {
    this.clock.advance(ms - this.now);
  }
}
