import type * as Ffi from 'node:ffi';
import { closeSync } from 'node:fs';
import { eventually } from '@dragoman/testing';
import { START_PATIENCE_MS } from './supervised.ts';

const AF_UNIX = 1;
const AF_INET = 2;
const SOCK_STREAM_CLOEXEC = 1 | 0o2000000;
const SOCK_DGRAM_NONBLOCK_CLOEXEC = 2 | 0o4000 | 0o2000000;
const SOCKADDR_IN_BYTES = 16;
const BACKLOG = 128;

let libc: ReturnType<typeof openLibc> | undefined;

/** Systemd's part is played with system calls that Node has no function for. */
export const canPlayServiceManager = ((): boolean => {
  try {
    libc = process.platform === 'linux' ? openLibc() : undefined;
  } catch {
    // No node:ffi.
  }
  return libc !== undefined;
})();

/** A TCP socket on 127.0.0.1 that listens, as systemd opens it: nobody accepts on it in this process. */
export class ActivationSocket implements Disposable {
  readonly fd: number;
  readonly port: number;

  constructor() {
    const { socket, bind, listen, getsockname } = loaded();
    this.fd = socket(AF_INET, SOCK_STREAM_CLOEXEC, 0);
    const address = Buffer.alloc(SOCKADDR_IN_BYTES);
    address.writeUInt16LE(AF_INET, 0);
    address.set([127, 0, 0, 1], 4);
    const length = new Uint32Array([address.length]);
    const failed =
      bind(this.fd, address, address.length) !== 0 ||
      listen(this.fd, BACKLOG) !== 0 ||
      getsockname(this.fd, address, length) !== 0;
    if (failed) throw new Error('cannot open a socket as systemd does');
    this.port = address.readUInt16BE(2);
  }

  [Symbol.dispose](): void {
    closeSync(this.fd);
  }
}

/** The socket of `NOTIFY_SOCKET`: a Unix datagram socket with an abstract name. */
export class NotifySocket implements Disposable {
  /** As the variable has it. */
  readonly path: string;
  /** The assignments of all messages so far, in order. */
  readonly told: string[] = [];
  private readonly fd: number;

  constructor() {
    const { socket, bind } = loaded();
    this.fd = socket(AF_UNIX, SOCK_DGRAM_NONBLOCK_CLOEXEC, 0);
    const name = `dragoman-test-${process.pid}-${this.fd}-${process.hrtime.bigint()}`;
    this.path = `@${name}`;
    const address = Buffer.from(`\x01\x00\x00${name}`, 'latin1');
    if (bind(this.fd, address, address.length) !== 0) throw new Error(`cannot bind ${this.path}`);
  }

  /** Waits until an assignment that matches has come `times` times. */
  async until(pattern: RegExp, times = 1): Promise<void> {
    await eventually(() => {
      this.read();
      const found = this.told.filter((line) => pattern.test(line)).length;
      if (found < times) throw new Error(`${found} of ${times} like ${pattern} in ${this.told.join(', ')}`);
    }, START_PATIENCE_MS);
  }

  [Symbol.dispose](): void {
    closeSync(this.fd);
  }

  private read(): void {
    const { recv } = loaded();
    const buffer = Buffer.alloc(4096);
    for (;;) {
      const length = Number(recv(this.fd, buffer, BigInt(buffer.length), 0));
      if (length < 0) return;
      this.told.push(...buffer.toString('utf8', 0, length).split('\n'));
    }
  }
}

function loaded(): NonNullable<typeof libc> {
  if (libc === undefined) throw new Error('no node:ffi');
  return libc;
}

function openLibc() {
  const ffi: typeof Ffi = process.getBuiltinModule('node:ffi');
  return ffi.dlopen(null, {
    socket: { arguments: ['i32', 'i32', 'i32'], return: 'i32' },
    bind: { arguments: ['i32', 'buffer', 'u32'], return: 'i32' },
    listen: { arguments: ['i32', 'i32'], return: 'i32' },
    getsockname: { arguments: ['i32', 'buffer', 'buffer'], return: 'i32' },
    recv: { arguments: ['i32', 'buffer', 'u64', 'i32'], return: 'i64' },
  }).functions;
}
