import { closeDescriptor } from './descriptors.ts';
import { libcFor } from './libc.ts';
import { AF_UNIX, PATH_OFFSET } from './socket-address.ts';
import { systemError } from './system-error.ts';

const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;

const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;

/** The room for a path in `sockaddr_un`. */
const MAX_PATH_BYTES = 108;

const ENAMETOOLONG = 36;

/**
 * Sends one datagram to a Unix socket, at once or not at all: the thread never waits for a receiver that is slow.
 *
 * @param path of the socket, at most 108 bytes; a leading `@` stands for the zero byte of an abstract name
 * @param text goes as UTF-8
 * @throws FfiUnavailable
 * @throws Error with `code` and `errno`: `ENOENT` or `ECONNREFUSED` when nobody receives there, `EAGAIN` when the receiver's
 *   queue is full, `EACCES`, `EMSGSIZE`, `ENAMETOOLONG`, …
 */
export function sendDatagram(path: string, text: string): void {
  const libc = libcFor('sending to a Unix datagram socket');
  const what = `send to ${path}`;
  const address = encodePath(path, what);
  const bytes = Buffer.from(text);
  const fd = libc.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) throw systemError('socket', what, libc.errno());
  try {
    const flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    const sent = libc.sendto(fd, bytes, BigInt(bytes.length), flags, address, address.length);
    if (sent < 0n) throw systemError('sendto', what, libc.errno());
  } finally {
    closeDescriptor(fd);
  }
}

/** C's `sockaddr_un`, as long as its path. */
function encodePath(path: string, what: string): Buffer {
  const bytes = Buffer.from(path);
  if (bytes.length > MAX_PATH_BYTES) throw systemError('sendto', what, ENAMETOOLONG);
  if (path.startsWith('@')) bytes[0] = 0;
  const address = Buffer.alloc(PATH_OFFSET + bytes.length);
  address.writeUInt16LE(AF_UNIX, 0);
  address.set(bytes, PATH_OFFSET);
  return address;
}
