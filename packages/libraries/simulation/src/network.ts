import type {
  Clock,
  ConnectHandler,
  Connection,
  Connector,
  ConnectOptions,
  RandomSource,
} from '@dragoman/core';
import { SimConnection } from './connection.ts';
import { type HostModel, SimHost } from './host.ts';

/** As many fit into 10.0.0.0/8. */
const MAX_HOSTS = 2 ** 24;
const PORT = 80;

/** Hosts that can be connected to by their addresses. */
export class Network implements Connector {
  readonly hosts: SimHost[] = [];
  private readonly byAddress = new Map<string, SimHost>();
  private readonly clock: Clock;
  private readonly random: RandomSource;

  constructor(clock: Clock, random: RandomSource) {
    this.clock = clock;
    this.random = random;
  }

  /** Adds hosts at addresses of their own. They are known to no cluster yet. */
  addHosts(count: number, model: HostModel | ((index: number) => HostModel)): readonly SimHost[] {
    return Array.from({ length: count }, (_, index) =>
      this.addHost(typeof model === 'function' ? model(index) : model),
    );
  }

  addHost(model: HostModel): SimHost {
    const index = this.hosts.length;
    if (index >= MAX_HOSTS) throw new RangeError(`no more than ${MAX_HOSTS} hosts`);
    const address = `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}:${PORT}`;
    const host = new SimHost(address, index, model, this.clock, this.random);
    this.hosts.push(host);
    this.byAddress.set(address, host);
    return host;
  }

  /** Undefined: there is no such host. */
  at(address: string): SimHost | undefined {
    return this.byAddress.get(address);
  }

  connect(options: ConnectOptions, handler: ConnectHandler): Connection {
    const host = this.byAddress.get(options.address.text);
    if (host === undefined) throw new Error(`no simulated host has the address ${options.address.text}`);
    return new SimConnection(options, host, handler, this.clock);
  }
}
