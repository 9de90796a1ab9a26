import type { Socket } from 'node:net';

/** Who gets what happens on a socket. */
export interface SocketUser {
  /** See `onread.buffer` of `net.Socket`. */
  nextBuffer(): Buffer | undefined;
  onRead(size: number, buffer: Uint8Array): boolean;
  onSocketEnd(): void;
  onSocketError(error: NodeJS.ErrnoException): void;
  onSocketClose(): void;
}

/**
 * The only way from a socket to its user, cut when the socket has closed.
 *
 * Node's writable streams keep a function (`onwrite`) that V8 allocates among the old objects, as it does with every function
 * literal assigned to a property. So a closed socket, and whatever it refers to, lives on until all of the heap is marked, and each
 * scavenge copies it until then. Cut off, it is only the socket, and not also the connection with its filters and codec.
 */
export class SocketLink {
  private user: SocketUser | undefined;
  /** For `net.Socket`'s `onread.buffer`. */
  readonly nextBuffer = (): Buffer | undefined => this.user?.nextBuffer();
  /** For `net.Socket`'s `onread.callback`. */
  readonly onRead = (size: number, buffer: Uint8Array): boolean =>
    this.user === undefined || this.user.onRead(size, buffer);

  constructor(user: SocketUser) {
    this.user = user;
  }

  /** Listens to the socket's events until it has closed. */
  tie(socket: Socket): void {
    (socket as Linked)[LINK] = this;
    socket.on('end', onEnd);
    socket.on('error', onError);
    socket.on('close', onClose);
  }

  /** Listens no more: another socket takes its place. */
  untie(socket: Socket): void {
    socket.removeListener('end', onEnd);
    socket.removeListener('error', onError);
    socket.removeListener('close', onClose);
  }

  /** Listens no more to what a reader wants to know. */
  untieEnd(socket: Socket): void {
    socket.removeListener('end', onEnd);
  }

  end(): void {
    this.user?.onSocketEnd();
  }

  fail(error: NodeJS.ErrnoException): void {
    this.user?.onSocketError(error);
  }

  close(): void {
    const { user } = this;
    this.user = undefined;
    user?.onSocketClose();
  }
}

const LINK = Symbol('dragoman.link');

interface Linked extends Socket {
  [LINK]: SocketLink;
}

// The same three functions for all sockets: an emitter calls them with the socket as `this`.

function onEnd(this: Socket): void {
  (this as Linked)[LINK].end();
}

function onError(this: Socket, error: NodeJS.ErrnoException): void {
  (this as Linked)[LINK].fail(error);
}

function onClose(this: Socket): void {
  (this as Linked)[LINK].close();
}
