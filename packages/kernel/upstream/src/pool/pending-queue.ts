import type { Cancellable, HttpPoolCallbacks, ResponseDecoder } from '@dragoman/core';

/** A request that waits for a connection: a link of its queue, so that giving up costs the same at any length. */
export class PendingRequest implements Cancellable {
  readonly decoder: ResponseDecoder;
  readonly callbacks: HttpPoolCallbacks;
  next: PendingRequest | undefined = undefined;
  previous: PendingRequest | undefined = undefined;
  /** It stands in the queue. */
  queued = false;
  private readonly owner: PendingOwner;
  private waiting = true;

  constructor(owner: PendingOwner, decoder: ResponseDecoder, callbacks: HttpPoolCallbacks) {
    this.owner = owner;
    this.decoder = decoder;
    this.callbacks = callbacks;
  }

  cancel(): void {
    if (!this.waiting) return;
    this.waiting = false;
    this.owner.onCancel(this);
  }

  /** It has been served, or failed: `cancel` does nothing any more. */
  settle(): void {
    this.waiting = false;
  }

  /** False once it was cancelled, served or failed. */
  get isWaiting(): boolean {
    return this.waiting;
  }
}

/** Who is told of a request that gave up. */
export interface PendingOwner {
  onCancel(request: PendingRequest): void;
}

/** Requests in the order in which they came. */
export class PendingQueue {
  size = 0;
  private first: PendingRequest | undefined = undefined;
  private last: PendingRequest | undefined = undefined;

  push(request: PendingRequest): void {
    request.previous = this.last;
    if (this.last === undefined) this.first = request;
    else this.last.next = request;
    this.last = request;
    request.queued = true;
    this.size++;
  }

  /** The oldest, taken out; undefined when none waits. */
  shift(): PendingRequest | undefined {
    const request = this.first;
    if (request !== undefined) this.remove(request);
    return request;
  }

  remove(request: PendingRequest): void {
    if (request.previous === undefined) this.first = request.next;
    else request.previous.next = request.next;
    if (request.next === undefined) this.last = request.previous;
    else request.next.previous = request.previous;
    request.next = undefined;
    request.previous = undefined;
    request.queued = false;
    this.size--;
  }
}
