/** What a worker thread asks of the main thread, as plain data. `id` comes back in the answer. */
export type LogRelayMessage =
  | { readonly kind: 'open'; readonly id: number; readonly path: string }
  | {
      readonly kind: 'write';
      readonly id: number;
      readonly path: string;
      /** Whole entries. It is all of its buffer, and nobody else's: whoever posts it may transfer that. */
      readonly data: Uint8Array<ArrayBuffer>;
    };

/** What the main thread answers, as plain data: done, or why not. */
export interface LogRelayAnswer {
  readonly id: number;
  readonly error: string | null;
}

type Done = (error: Error | null) => void;

/** A worker thread's side of the relay: give it to `createLogFiles`, and every answer of the main thread to {@link receive}. */
export class LogRelayClient {
  private readonly port: { post(message: LogRelayMessage): void };
  private readonly waiting = new Map<number, Done>();
  private lastId = 0;

  /** @param port posts messages to the thread of the `LogRelayServer`, in order */
  constructor(port: { post(message: LogRelayMessage): void }) {
    this.port = port;
  }

  /** Has the main thread open a path; `done` when it has, or could not. */
  open(path: string, done: Done): void {
    this.port.post({ kind: 'open', id: this.expect(done), path });
  }

  /** Has the main thread write a copy of `data`; `done` when it is through, or lost to an error. */
  write(path: string, data: Uint8Array, done: Done): void {
    this.port.post({ kind: 'write', id: this.expect(done), path, data: new Uint8Array(data) });
  }

  /** An answer of the main thread. */
  receive(answer: LogRelayAnswer): void {
    const done = this.waiting.get(answer.id);
    this.waiting.delete(answer.id);
    done?.(answer.error === null ? null : new Error(answer.error));
  }

  private expect(done: Done): number {
    this.waiting.set(++this.lastId, done);
    return this.lastId;
  }
}
