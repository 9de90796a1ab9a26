import type { ResourceOrder } from '../dynamic/resource-order.ts';
import type { BindOrder, ClusterOrder, ListenerOrder } from '../worker/orders.ts';

/** The bind orders of a command, for the worker of a number. */
export type OrdersOf = (workerIndex: number) => readonly BindOrder[];

/**
 * What the workers have been told, as of the last command: noted when a command is given, not when it is answered, so that a worker that
 * begins in the middle of a change is told the same as the others. A command that fails is taken back.
 */
export class Told {
  private readonly clustersByName = new Map<string, ClusterOrder>();
  private readonly listenersById = new Map<number, ListenerOrder>();
  /** In place, by key. */
  readonly resources = new Map<string, ResourceOrder>();
  /** Prepared, and not decided about. */
  readonly pendingResources = new Map<string, ResourceOrder>();
  private readonly accepting = new Map<number, OrdersOf>();

  get clusters(): readonly ClusterOrder[] {
    return [...this.clustersByName.values()];
  }

  get listeners(): readonly ListenerOrder[] {
    return [...this.listenersById.values()];
  }

  /**
   * Of the listeners that accept, for a worker that begins: it binds for itself what was taken over from a listener that it has not seen. Orders are
   * asked for anew: by now main knows the ports that others have got for port 0.
   */
  bindOrders(workerIndex: number): readonly BindOrder[] {
    return Array.from(this.accepting, ([id, ordersOf]) => {
      const order = ordersOf(workerIndex).find((one) => one.id === id);
      return order === undefined ? [] : [{ ...order, takeOver: undefined }];
    }).flat();
  }

  /** @returns what takes it back, and gives what was told before */
  cluster(order: ClusterOrder): () => ClusterOrder | undefined {
    const { name } = order.message;
    const before = this.clustersByName.get(name);
    this.clustersByName.set(name, order);
    return () => {
      if (before === undefined) this.clustersByName.delete(name);
      else this.clustersByName.set(name, before);
      return before;
    };
  }

  clusterRemoved(name: string): void {
    this.clustersByName.delete(name);
  }

  listener(order: ListenerOrder): void {
    this.listenersById.set(order.id, order);
  }

  /** @returns what takes it back */
  listening(ordersOf: OrdersOf): () => void {
    const undo: (() => unknown)[] = [];
    for (const { id, takeOver } of ordersOf(0)) {
      const own = this.accepting.get(id);
      this.accepting.set(id, ordersOf);
      undo.push(() => (own === undefined ? this.accepting.delete(id) : this.accepting.set(id, own)));
      const before = takeOver === undefined ? undefined : this.accepting.get(takeOver);
      if (takeOver === undefined || before === undefined) continue;
      this.accepting.delete(takeOver);
      undo.push(() => this.accepting.set(takeOver, before));
    }
    return () => {
      for (const step of undo) step();
    };
  }

  stopped(ids: readonly number[]): void {
    for (const id of ids) this.accepting.delete(id);
  }

  listenerRemoved(id: number): void {
    this.accepting.delete(id);
    this.listenersById.delete(id);
  }
}
