import { epochOf } from './arguments.ts';
import { BindError, type BoundSocket } from './bound-socket.ts';
import {
  type EndingSignal,
  type EpochMessage,
  isMessage,
  type ListenAddress,
  type ParentAnswer,
  type ParentQuestion,
  PROTOCOL_VERSION,
  type SocketMessage,
  type SocketsFailed,
  SUPERVISED,
  type SupervisorMessage,
  type WantedSockets,
} from './protocol.ts';

/** What is used of `process`. */
export interface SupervisedProcess {
  readonly env: NodeJS.ProcessEnv;
  readonly pid: number;
  readonly argv: readonly string[];
  readonly connected?: boolean;
  readonly channel?: { ref(): void; unref(): void } | null;
  send?(
    message: unknown,
    handle: undefined,
    options: undefined,
    callback: (error: Error | null) => void,
  ): boolean;
  kill?(pid: number, signal: NodeJS.Signals): unknown;
  on(event: 'message', listener: (message: unknown, handle: unknown) => void): unknown;
  on(event: 'disconnect', listener: () => void): unknown;
}

/** Sockets to listen on: each with `listen({ fd })` on a `dup`, or once on the descriptor itself. */
export interface SuppliedSockets {
  /**
   * May be more than asked for (each must be listened on, or what waits in it is lost), and is one where the address can
   * have only one. `close` gives up the descriptor, not the supervisor's.
   */
  readonly handles: readonly BoundSocket[];
  /** With the real port. */
  readonly address: ListenAddress;
}

interface PendingSockets {
  readonly handles: BoundSocket[];
  resolve(sockets: SuppliedSockets): void;
  reject(error: Error): void;
}

/** Something that an epoch's parent has counted. */
export interface ParentStats {
  /** Undefined: the parent is there but has not answered. */
  readonly stats: unknown;
  /** The parent has ended, this is the last of it, and there is no other to ask. */
  readonly final: boolean;
}

/**
 * An epoch's link to its supervisor. It does not keep the process alive, except while an answer is due. Set the
 * callbacks before the next turn of the event loop: messages do not wait for them.
 */
export class SupervisorLink {
  /** Of `--restart-epoch`. */
  readonly epoch: number;
  /** The next epoch takes over: close the admin interface, then answer with all that was counted. */
  onAdminTakeover: () => Promise<unknown> = async () => undefined;
  /** Answer with what was counted since the last answer. */
  onParentStats: () => unknown = () => undefined;
  /** The next epoch is live: stop accepting, drain, exit. */
  onDrain: () => void = () => {};
  /** Time is up: exit. */
  onTerminate: () => void = () => {};
  /** The next epoch has failed: reopen the admin interface; whatever it was told is lost, so answer with all of it next time. */
  onResume: () => void = () => {};
  /**
   * The parent has ended. `finalStats`: the last of it, unless {@link parentStats} had that. `another`: its own parent is
   * still there and answers {@link parentStats} from now on.
   */
  onParentGone: (finalStats: unknown, another: boolean) => void = () => {};
  /** What the parent had counted when it was asked, after the asker was told that it does not answer. It is not told again. */
  onLateStats: (stats: unknown) => void = () => {};
  /** The supervisor was sent a signal; this process may have been, too. Default: this process is sent it. */
  onSignal: (signal: EndingSignal) => void = (signal) => void this.process.kill?.(this.process.pid, signal);
  /** The supervisor is gone: serve on, there will be no next epoch. */
  onDisconnect: () => void = () => {};
  private readonly process: SupervisedProcess;
  private readonly pending = new Map<number, PendingSockets>();
  private readonly answers = new Map<number, (answer: ParentAnswer | undefined) => void>();
  private lastId = 0;
  private lost = false;

  private constructor(process: SupervisedProcess) {
    this.process = process;
    this.epoch = epochOf(process.argv);
    process.on('message', (message, handle) => {
      if (isMessage(message)) this.received(message as SupervisorMessage, handle as BoundSocket | undefined);
    });
    process.on('disconnect', () => this.disconnected());
    process.channel?.unref();
    void this.tell({ kind: 'hello', protocol: PROTOCOL_VERSION, epoch: this.epoch, pid: process.pid });
  }

  /** @returns undefined when this process has no supervisor */
  static connect(process: SupervisedProcess): SupervisorLink | undefined {
    if (process.env[SUPERVISED] !== '1' || process.send === undefined) return undefined;
    return new SupervisorLink(process);
  }

  get connected(): boolean {
    return !this.lost && this.process.connected !== false;
  }

  /**
   * The sockets of an address, bound when no epoch has had them. The epoch holds them until {@link release}, once however
   * often it has asked.
   *
   * @throws BindError with the system's code; `EPIPE` when the supervisor is gone
   */
  sockets(wanted: WantedSockets): Promise<SuppliedSockets> {
    return new Promise((resolve, reject) => {
      if (!this.connected) {
        reject(supervisorGone(wanted.key));
        return;
      }
      const id = ++this.lastId;
      this.pending.set(id, { handles: [], resolve, reject });
      this.keepAlive();
      void this.tell({ kind: 'sockets', id, ...wanted });
    });
  }

  /** This epoch does not listen on the key any more, its descriptors are closed. */
  release(key: string): void {
    void this.tell({ kind: 'release', key });
  }

  /** Has the parent close its admin interface. @returns its stats; undefined: no parent, or none that answers */
  async takeOverAdmin(): Promise<unknown> {
    return (await this.ask('admin-takeover'))?.stats;
  }

  /** What the parent has counted since the last answer. @returns undefined: there is no parent any more */
  async parentStats(): Promise<ParentStats | undefined> {
    const answer = await this.ask('parent-stats');
    if (answer === undefined || answer.gone) return undefined;
    return { stats: answer.stats, final: answer.final };
  }

  /** This epoch serves; its parent may drain. */
  live(): void {
    void this.tell({ kind: 'live' });
  }

  /**
   * The exit that follows is meant.
   *
   * @param finalStats what was counted since the last answer
   * @returns when it is safe to exit: what was said before has left. Never rejects
   */
  async exiting(finalStats?: unknown): Promise<void> {
    if (finalStats !== undefined) void this.tell({ kind: 'final-stats', stats: finalStats });
    await this.tell({ kind: 'exiting' });
  }

  private received(message: SupervisorMessage, handle: BoundSocket | undefined): void {
    switch (message.kind) {
      case 'socket':
        this.receivedSocket(message, handle);
        break;
      case 'sockets-failed':
        this.socketsFailed(message);
        break;
      case 'parent-answer':
        this.parentAnswered(message);
        break;
      case 'admin-takeover':
      case 'parent-stats':
        void this.answer(message);
        break;
      case 'parent-gone':
        this.onParentGone(message.stats, message.another);
        break;
      case 'signal':
        this.onSignal(message.signal);
        break;
      case 'ping':
        void this.tell({ kind: 'pong' });
        break;
      case 'drain':
        this.onDrain();
        break;
      case 'terminate':
        this.onTerminate();
        break;
      case 'resume':
        this.onResume();
    }
  }

  private receivedSocket({ id, of, address }: SocketMessage, handle: BoundSocket | undefined): void {
    const request = this.pending.get(id);
    if (request === undefined || handle === undefined) {
      handle?.close();
      return;
    }
    request.handles.push(handle);
    if (request.handles.length < of) return;
    this.pending.delete(id);
    this.keepAlive();
    request.resolve({ handles: request.handles, address });
  }

  private socketsFailed({ id, code, message }: SocketsFailed): void {
    this.pending.get(id)?.reject(new BindError(code, message));
    this.pending.delete(id);
    this.keepAlive();
  }

  private parentAnswered(answer: ParentAnswer): void {
    const resolve = this.answers.get(answer.id);
    if (resolve === undefined) {
      this.onLateStats(answer.stats);
      return;
    }
    this.answers.delete(answer.id);
    this.keepAlive();
    resolve(answer);
  }

  /** A callback that fails is a fault of this process; the next epoch, which waits, gets an answer without stats. */
  private async answer({ kind, id }: ParentQuestion): Promise<void> {
    let stats: unknown;
    try {
      stats = kind === 'admin-takeover' ? await this.onAdminTakeover() : await this.onParentStats();
    } finally {
      void this.tell({ kind: 'stats-answer', id, stats });
    }
  }

  private ask(kind: ParentQuestion['kind']): Promise<ParentAnswer | undefined> {
    return new Promise((resolve) => {
      if (!this.connected) {
        resolve(undefined);
        return;
      }
      const id = ++this.lastId;
      this.answers.set(id, resolve);
      this.keepAlive();
      void this.tell({ kind, id });
    });
  }

  /** Settles when the message has left, or never will. */
  private tell(message: EpochMessage): Promise<void> {
    return new Promise((resolve) => {
      if (this.connected) this.process.send?.(message, undefined, undefined, () => resolve());
      else resolve();
    });
  }

  private keepAlive(): void {
    if (this.pending.size + this.answers.size > 0) this.process.channel?.ref();
    else this.process.channel?.unref();
  }

  private disconnected(): void {
    if (this.lost) return;
    this.lost = true;
    for (const { handles, reject } of this.pending.values()) {
      for (const handle of handles) handle.close();
      reject(supervisorGone('sockets'));
    }
    for (const resolve of this.answers.values()) resolve(undefined);
    this.pending.clear();
    this.answers.clear();
    this.onDisconnect();
  }
}

function supervisorGone(key: string): BindError {
  return new BindError('EPIPE', `no sockets for "${key}": the supervisor is gone`);
}
