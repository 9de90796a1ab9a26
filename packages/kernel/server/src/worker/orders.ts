import {
  type Cluster,
  ClusterSchema,
  fromBinary,
  type Listener,
  ListenerSchema,
  toBinary,
} from '@dragoman/api';
import type { SharedCountsHandle } from '@dragoman/stats';

/** A cluster, as main tells a worker of it. */
export interface ClusterOrder {
  readonly message: Cluster;
  /** Where it stands in the config, for errors. */
  readonly path: string;
  /** Circuit-breaker budgets that all workers share; undefined: this worker is the only one. */
  readonly budgets: SharedCountsHandle | undefined;
}

/** A listener, as main tells a worker of it. */
export interface ListenerOrder {
  /** Of this version of the listener: an update is another listener of the same name. */
  readonly id: number;
  /** The config's, or the one that main has chosen. */
  readonly name: string;
  readonly message: Listener;
  /** Where it stands in the config, for errors. */
  readonly path: string;
  /** Its connections over all workers; undefined: this worker is the only one. */
  readonly connections: SharedCountsHandle | undefined;
}

/** One socket that a worker is to accept on. */
export interface SocketOrder {
  /** With its port. */
  readonly address: string;
  /** A bound socket that another descriptor stands for: the worker listens on a duplicate. Undefined: it binds one itself. */
  readonly descriptor: number | undefined;
  /** Of a socket that the worker binds: others do the same. */
  readonly reusePort: boolean;
}

/** Where a worker is to accept for a listener. */
export interface BindOrder {
  readonly id: number;
  /** For each address of the listener, in the order of the config; an empty list: other workers accept there. */
  readonly sockets: readonly (readonly SocketOrder[])[];
  /** The listener whose sockets this one takes over (an update at the same addresses). */
  readonly takeOver: number | undefined;
}

/** Where a listener accepts, one text for each address of its config; the config's own where this worker does not. */
export type BoundAddresses = readonly string[];

/** An order whose message is written as protobuf, so that it can be posted to a thread. */
export type Wire<O extends { readonly message: unknown }> = Omit<O, 'message'> & {
  readonly binary: Uint8Array;
};

export function writeCluster({ message, ...rest }: ClusterOrder): Wire<ClusterOrder> {
  return { ...rest, binary: toBinary(ClusterSchema, message) };
}

export function readCluster({ binary, ...rest }: Wire<ClusterOrder>): ClusterOrder {
  return { ...rest, message: fromBinary(ClusterSchema, binary) };
}

export function writeListener({ message, ...rest }: ListenerOrder): Wire<ListenerOrder> {
  return { ...rest, binary: toBinary(ListenerSchema, message) };
}

export function readListener({ binary, ...rest }: Wire<ListenerOrder>): ListenerOrder {
  return { ...rest, message: fromBinary(ListenerSchema, binary) };
}
