import { chmodSync } from 'node:fs';
import { removeStaleSocket } from '@dragoman/posix';
import { BindError, type Binder, type BoundSocket } from './bound-socket.ts';
import { addressText, type InheritedAddress, isWildcard, sameRequest } from './listen-address.ts';
import type { IpListenAddress, ListenAddress, WantedSockets } from './protocol.ts';

/** A socket that this process was started with. */
export interface InheritedSocket {
  readonly fd: number;
  readonly address: InheritedAddress;
}

export interface SocketBookOptions {
  readonly binder: Binder;
  /** Used for a request of exactly the same address, wildcards included, in place of binding. */
  readonly inherited: readonly InheritedSocket[];
  /** Default: {@link removeStaleSocket}. */
  readonly removeStale?: (path: string) => Promise<void>;
  /** Default: node's. */
  readonly chmod?: (path: string, mode: number) => void;
}

/** What a user of a key is to listen on. */
export interface HeldSockets {
  readonly sockets: readonly BoundSocket[];
  readonly address: ListenAddress;
}

interface HeldSocket {
  readonly socket: BoundSocket;
  /** Who was given it. Nobody else accepts on it: it goes with the last of them. */
  readonly users: Set<object>;
}

interface Entry {
  readonly wanted: WantedSockets;
  /** Who has asked, also while its sockets are not there yet. */
  readonly users: Set<object>;
  held: HeldSocket[];
  bound: ListenAddress;
  /** More sockets can be bound on the address. */
  growable: boolean;
  /** Systemd's stay open when nobody uses them: systemd listens on them itself, so closing would refuse nobody. */
  inherited: boolean;
  /** One request after another. */
  turn: Promise<unknown>;
}

/**
 * The listening sockets of all epochs, by key. A socket is closed when the last epoch that was given it has released it
 * or ended, so that clients are refused and do not wait in a queue that nobody reads.
 */
export class SocketBook {
  private readonly options: SocketBookOptions;
  private readonly entries = new Map<string, Entry>();
  private readonly adopted = new Map<number, BoundSocket>();

  constructor(options: SocketBookOptions) {
    this.options = options;
  }

  get keys(): string[] {
    return [...this.entries.keys()];
  }

  /**
   * All sockets of a key, after binding those that are missing. There may be more than asked for (an earlier epoch had
   * more workers): each must be listened on, or what waits in it is lost; and fewer, where the address can have only one.
   *
   * @param user holds the sockets until it releases them, once however often it has asked
   * @throws BindError; `ECANCELED` when the user has released the key meanwhile
   */
  async request(user: object, wanted: WantedSockets): Promise<HeldSockets> {
    let entry = this.entries.get(wanted.key);
    if (entry === undefined) {
      entry = newEntry(wanted);
      this.entries.set(wanted.key, entry);
    } else if (!sameRequest(entry.wanted.address, wanted.address)) {
      throw otherAddress(entry.wanted, wanted);
    }
    entry.users.add(user);
    const turn = entry.turn.then(() => this.fill(entry, user, wanted));
    entry.turn = turn.catch(() => {});
    return turn;
  }

  release(user: object, key: string): void {
    const entry = this.entries.get(key);
    if (entry !== undefined) this.leave(entry, user);
  }

  /** The user has ended. */
  releaseAll(user: object): void {
    for (const entry of [...this.entries.values()]) this.leave(entry, user);
  }

  /** The process ends: nothing stays open, and no file of a Unix socket stays behind. */
  close(): void {
    for (const entry of [...this.entries.values()]) {
      for (const user of [...entry.users]) this.leave(entry, user);
    }
    for (const socket of this.adopted.values()) socket.close();
    this.adopted.clear();
  }

  private async fill(entry: Entry, user: object, wanted: WantedSockets): Promise<HeldSockets> {
    try {
      checkStillWanted(entry, user);
      if (entry.held.length === 0) await this.bindFirst(entry, user);
      while (entry.growable && entry.held.length < wanted.count) {
        entry.held.push(held(this.bindIp(entry.bound, true).socket));
      }
    } catch (error) {
      // Who has sockets already keeps those.
      if (isHolder(entry, user)) this.closeUnused(entry);
      else this.leave(entry, user);
      throw error;
    }
    for (const { users } of entry.held) users.add(user);
    return { sockets: entry.held.map(({ socket }) => socket), address: entry.bound };
  }

  private async bindFirst(entry: Entry, user: object): Promise<void> {
    const { address, reusePort } = entry.wanted;
    const inherited = this.inheritedAt(address);
    if (inherited.length > 0) {
      entry.inherited = true;
      entry.held = inherited.map(held);
      return;
    }
    this.refuseTwice(entry);
    if (address.family === 'pipe') {
      await this.bindPipe(entry, user, address.path, address.mode);
      return;
    }
    // With SO_REUSEPORT another process's socket on the port would go unnoticed; without, bind finds one that listens.
    if (reusePort && address.port !== 0 && !this.overlapsOurs(address)) {
      this.bindIp(address, false).socket.close();
    }
    const { socket, port } = this.bindIp(address, reusePort);
    entry.bound = { ...address, port };
    entry.held = [held(socket)];
    entry.growable = reusePort;
  }

  private async bindPipe(entry: Entry, user: object, path: string, mode: number | undefined): Promise<void> {
    const { binder, removeStale = removeStaleSocket, chmod = chmodSync } = this.options;
    const file = !path.startsWith('@');
    if (file) await removeStale(path);
    checkStillWanted(entry, user);
    const socket = binder.pipe(path);
    if (file && mode !== undefined) {
      try {
        chmod(path, mode);
      } catch (error) {
        socket.close();
        throw new BindError((error as NodeJS.ErrnoException).code ?? 'EACCES', (error as Error).message);
      }
    }
    entry.held = [held(socket)];
  }

  private bindIp(address: ListenAddress, reusePort: boolean) {
    if (address.family === 'pipe') throw new TypeError('a Unix socket has no port');
    const ipv6Only = address.family === 'ipv6' && address.ipv6Only;
    return this.options.binder.ip(address.ip, address.port, { ipv6Only, reusePort });
  }

  /** Our own sockets are no strangers to SO_REUSEPORT, nor do those that do not listen yet show: two keys would share a port. */
  private refuseTwice(entry: Entry): void {
    const { key, address } = entry.wanted;
    const text = addressText(address);
    for (const other of this.entries.values()) {
      if (other === entry || other.held.length === 0 || addressText(other.bound) !== text) continue;
      throw new BindError(
        'EINVAL',
        `${text} is held for "${other.wanted.key}", it cannot be for "${key}" too`,
      );
    }
  }

  /** Whether sockets of another key are on the same port of all addresses, or of one where this is all: `0.0.0.0:80` and `127.0.0.1:80`. */
  private overlapsOurs(address: IpListenAddress): boolean {
    return [...this.entries.values()].some(({ bound, growable }) => {
      if (!growable || bound.family === 'pipe' || bound.port !== address.port) return false;
      return isWildcard(bound) || isWildcard(address);
    });
  }

  private inheritedAt(address: ListenAddress): BoundSocket[] {
    const text = addressText(address);
    const found = this.options.inherited.filter((one) => addressText(one.address) === text);
    return found.map(({ fd }) => {
      const socket = this.adopted.get(fd) ?? this.options.binder.descriptor(fd);
      this.adopted.set(fd, socket);
      return socket;
    });
  }

  private leave(entry: Entry, user: object): void {
    entry.users.delete(user);
    for (const { users } of entry.held) users.delete(user);
    this.closeUnused(entry);
    if (entry.users.size === 0 && this.entries.get(entry.wanted.key) === entry) {
      this.entries.delete(entry.wanted.key);
    }
  }

  /** Who has asked and still waits will be given every socket that there is: until then all of them stay. */
  private closeUnused(entry: Entry): void {
    for (const user of entry.users) if (!isHolder(entry, user)) return;
    entry.held = entry.held.filter(({ socket, users }) => {
      if (users.size > 0) return true;
      if (!entry.inherited) socket.close();
      return false;
    });
  }
}

function newEntry(wanted: WantedSockets): Entry {
  return {
    wanted,
    users: new Set(),
    held: [],
    bound: wanted.address,
    growable: false,
    inherited: false,
    turn: Promise.resolve(),
  };
}

function otherAddress({ key, address }: WantedSockets, asked: WantedSockets): BindError {
  const [held, other] = [address, asked.address].map(addressText);
  const difference =
    held === other
      ? `${held} ${address.family === 'ipv6' && address.ipv6Only ? 'without' : 'with'} IPv4 (ipv4_compat), which stays until no process uses them`
      : `${held}, not for ${other}`;
  return new BindError('EINVAL', `the sockets of "${key}" are for ${difference}`);
}

function held(socket: BoundSocket): HeldSocket {
  return { socket, users: new Set() };
}

function isHolder(entry: Entry, user: object): boolean {
  return entry.held.some(({ users }) => users.has(user));
}

function checkStillWanted(entry: Entry, user: object): void {
  if (entry.users.has(user)) return;
  throw new BindError(
    'ECANCELED',
    `the sockets of "${entry.wanted.key}" were released before they were bound`,
  );
}
