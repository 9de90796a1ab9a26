import type { LogFilesImpl } from './log-files.ts';
import type { LogRelayAnswer, LogRelayMessage } from './log-relay.ts';

/**
 * The main thread's side of the relay: batches of the workers go through the log files of the main thread, one for each
 * path, in turn with its own entries. The workers count them; here they are no part of `filesystem.…`.
 */
export class LogRelayServer {
  private readonly files: Pick<LogFilesImpl, 'open'>;
  private readonly senders = new Map<number, { attached: boolean }>();

  /** @param options.files those of the main thread */
  constructor(options: { readonly files: Pick<LogFilesImpl, 'open'> }) {
    this.files = options.files;
  }

  /**
   * A message of `worker`, in the order in which it posted them. `answer` is called once: at once or later, never after
   * {@link detach}.
   */
  receive(worker: number, message: LogRelayMessage, answer: (answer: LogRelayAnswer) => void): void {
    const sender = this.sender(worker);
    const done = (error: Error | null) => {
      if (sender.attached) answer({ id: message.id, error: error?.message ?? null });
    };
    try {
      const file = this.files.open(message.path);
      if (message.kind === 'write') file.writeBatch(message.data, done);
      else done(null);
    } catch (error) {
      done(error as Error);
    }
  }

  /**
   * `worker` is gone: what it sent is still written, nobody is answered. Node delivers all that a worker has posted before
   * it emits the worker's `exit`. The number may be given to another worker then.
   */
  detach(worker: number): void {
    const sender = this.senders.get(worker);
    if (sender !== undefined) sender.attached = false;
    this.senders.delete(worker);
  }

  private sender(worker: number): { attached: boolean } {
    const known = this.senders.get(worker);
    if (known !== undefined) return known;
    const sender = { attached: true };
    this.senders.set(worker, sender);
    return sender;
  }
}
