import type * as Ffi from 'node:ffi';
import { closeDescriptor, ffiAvailable, socketAddress } from '../src/index.ts';

const AF_UNIX = 1;
const SOCK_DGRAM_NONBLOCK_CLOEXEC = 2 | 0o4000 | 0o2000000;

/** A Unix datagram socket. What was sent to it is there as soon as the sender's call has returned. */
export class DatagramReceiver implements Disposable {
  /** Abstract and chosen by the system unless one was asked for. */
  readonly path: string;
  private readonly fd: number;
  private readonly libc = openLibc();

  /** @param path in the file system; default: an abstract name that nobody has */
  constructor(path = '') {
    this.fd = this.libc.socket(AF_UNIX, SOCK_DGRAM_NONBLOCK_CLOEXEC, 0);
    const address = Buffer.from(`\x01\x00${path}`, 'latin1');
    if (this.libc.bind(this.fd, address, address.length) !== 0) throw new Error(`cannot bind '${path}'`);
    const bound = socketAddress(this.fd);
    if (bound.family !== 'pipe') throw new Error(`bound to ${JSON.stringify(bound)}`);
    this.path = bound.path;
  }

  /** The next datagram; undefined when none is there. */
  receive(): string | undefined {
    const buffer = Buffer.alloc(4096);
    const length = this.libc.recv(this.fd, buffer, BigInt(buffer.length), 0);
    return length < 0n ? undefined : buffer.toString('utf8', 0, Number(length));
  }

  [Symbol.dispose](): void {
    closeDescriptor(this.fd);
  }
}

function openLibc() {
  if (!ffiAvailable()) throw new Error('no node:ffi');
  const ffi: typeof Ffi = process.getBuiltinModule('node:ffi');
  return ffi.dlopen(null, {
    socket: { arguments: ['i32', 'i32', 'i32'], return: 'i32' },
    bind: { arguments: ['i32', 'buffer', 'u32'], return: 'i32' },
    recv: { arguments: ['i32', 'buffer', 'u64', 'i32'], return: 'i64' },
  }).functions;
}
