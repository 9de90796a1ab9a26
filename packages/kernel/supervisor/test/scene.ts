import { EventEmitter } from 'node:events';
import { FakeClock } from '@dragoman/testing';
import { BindError, type Binder, type BoundSocket } from '../src/bound-socket.ts';
import type { ChildLike } from '../src/epoch.ts';
import { type EpochMessage, PROTOCOL_VERSION, type SupervisorMessage } from '../src/protocol.ts';
import { type InheritedSocket, SocketBook } from '../src/socket-book.ts';
import { Supervisor, type SupervisorOptions } from '../src/supervisor.ts';

/** A socket that is only a name: `127.0.0.1:80`, with `+` for SO_REUSEPORT, `#` and a number to tell them apart. */
export class FakeSocket implements BoundSocket {
  readonly fd: number;
  readonly name: string;
  open = true;

  constructor(fd: number, name: string) {
    this.fd = fd;
    this.name = name;
  }

  close(): void {
    this.open = false;
  }
}

/** Binds names. Port 0 becomes 40000 and up. */
export class FakeBinder implements Binder {
  readonly made: FakeSocket[] = [];
  /** Addresses that another process has. */
  readonly taken = new Set<string>();
  private port = 40_000;

  get open(): string[] {
    return this.made.filter(({ open }) => open).map(({ name }) => name);
  }

  ip(ip: string, asked: number, { reusePort }: { reusePort: boolean }) {
    const port = asked === 0 ? this.port++ : asked;
    // As the system has it: with SO_REUSEPORT a stranger goes unnoticed.
    if (!reusePort && this.taken.has(`${ip}:${port}`)) {
      throw new BindError('EADDRINUSE', `cannot bind ${ip}:${port}: address already in use (EADDRINUSE)`);
    }
    return { socket: this.make(`${ip}:${port}${reusePort ? '+' : ''}`), port };
  }

  pipe(path: string): FakeSocket {
    return this.make(path);
  }

  descriptor(fd: number): FakeSocket {
    return this.make(`fd ${fd}`, fd);
  }

  private make(name: string, fd = 100 + this.made.length): FakeSocket {
    const socket = new FakeSocket(fd, name);
    this.made.push(socket);
    return socket;
  }
}

/** A process that does what the test says. */
export class FakeChild extends EventEmitter implements ChildLike {
  readonly epoch: number;
  readonly pid: number | undefined;
  connected = true;
  readonly messages: SupervisorMessage[] = [];
  readonly sockets: FakeSocket[] = [];
  readonly kills: string[] = [];

  constructor(epoch: number, pid: number | undefined = 1000 + epoch) {
    super();
    this.epoch = epoch;
    this.pid = pid;
  }

  send(message: object, handle: unknown): boolean {
    this.messages.push(message as SupervisorMessage);
    if (handle instanceof FakeSocket) this.sockets.push(handle);
    return true;
  }

  kill(signal: NodeJS.Signals): boolean {
    this.kills.push(signal);
    return true;
  }

  say(message: EpochMessage): void {
    this.emit('message', message);
  }

  hello(): void {
    this.say({ kind: 'hello', protocol: PROTOCOL_VERSION, epoch: this.epoch, pid: this.pid ?? 0 });
  }

  live(): void {
    this.hello();
    this.say({ kind: 'live' });
  }

  end(code: number | null, signal: NodeJS.Signals | null = null): void {
    this.connected = false;
    this.emit('exit', code, signal);
  }

  /** Kinds of what it was sent, in order. */
  get told(): string[] {
    return this.messages.map(({ kind }) => kind);
  }
}

export interface SceneOptions extends Partial<SupervisorOptions> {
  readonly inherited?: readonly InheritedSocket[];
}

/** A supervisor among fakes, with epoch 0 started. */
export class Scene {
  readonly clock = new FakeClock();
  readonly binder = new FakeBinder();
  readonly children: FakeChild[] = [];
  readonly signals = new EventEmitter();
  readonly lines: string[] = [];
  readonly exits: number[] = [];
  readonly notices: string[] = [];
  healthy: () => boolean = () => false;
  /** What starting a process does next, in place of making a child. */
  nextSpawn: ((epoch: number) => FakeChild) | undefined;

  constructor({ inherited = [], ...options }: SceneOptions = {}) {
    new Supervisor({
      spawn: (epoch) => {
        const make = this.nextSpawn ?? ((number) => new FakeChild(number));
        this.nextSpawn = undefined;
        const child = make(epoch);
        this.children.push(child);
        return child;
      },
      sockets: new SocketBook({
        binder: this.binder,
        inherited,
        removeStale: async () => {},
        chmod: () => {},
      }),
      clock: this.clock,
      log: (level, text) => this.lines.push(`${level}: ${text}`),
      exit: (code) => this.exits.push(code),
      signals: this.signals,
      notifier: {
        ready: (status) => this.notices.push(`ready: ${status}`),
        reloading: () => this.notices.push('reloading'),
        stopping: () => this.notices.push('stopping'),
        startWatchdog: (healthy) => {
          this.notices.push('watchdog');
          this.healthy = healthy;
        },
        close: () => this.notices.push('close'),
      },
      ...options,
    }).start();
  }

  signal(name: NodeJS.Signals): void {
    this.signals.emit(name, name);
  }

  get last(): FakeChild {
    return this.children[this.children.length - 1];
  }

  /** Lets requests for sockets be answered. */
  settle(): Promise<void> {
    return this.clock.advanceAsync(0);
  }

  /** Epoch 0 is live, and SIGHUP has started epoch 1, which has said hello. */
  static restarting(options?: SceneOptions): { scene: Scene; old: FakeChild; next: FakeChild } {
    const scene = new Scene(options);
    const old = scene.last;
    old.live();
    scene.signal('SIGHUP');
    const next = scene.last;
    next.hello();
    return { scene, old, next };
  }
}

/** A request for sockets on 127.0.0.1. */
export function wants(id: number, port: number, count = 1, reusePort = true, key = `tcp:${port}`) {
  const address = { family: 'ipv4', ip: '127.0.0.1', port, ipv6Only: false } as const;
  return { kind: 'sockets', id, key, address, count, reusePort } as const;
}
