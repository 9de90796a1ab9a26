import type * as Ffi from 'node:ffi';

/** A call was asked for that Node makes only through `node:ffi`, and that is not there. The message says what to do. */
export class FfiUnavailable extends Error {
  override readonly name = 'FfiUnavailable';

  /**
   * @param what the call that was wanted, as the beginning of a sentence
   * @param cause why loading failed, when it is more than absence: Node's permission model wants `--allow-ffi`, for one
   */
  constructor(what: string, cause?: unknown) {
    const why = cause instanceof Error ? ` (${cause.message})` : '';
    super(
      `${what} needs node:ffi: run Dragoman on Node.js 26.10 or later, on Linux (x64 or arm64)${why}`,
      cause === undefined ? undefined : { cause },
    );
  }
}

/** C's prototypes; `size_t` is 64 bits and comes as a bigint. `fcntl` is variadic, which x64 and arm64 pass alike. */
const PROTOTYPES = {
  __errno_location: { arguments: [], return: 'pointer' },
  bind: { arguments: ['i32', 'buffer', 'u32'], return: 'i32' },
  close: { arguments: ['i32'], return: 'i32' },
  fcntl: { arguments: ['i32', 'i32', 'i32'], return: 'i32' },
  getsockname: { arguments: ['i32', 'buffer', 'buffer'], return: 'i32' },
  getsockopt: { arguments: ['i32', 'i32', 'i32', 'buffer', 'buffer'], return: 'i32' },
  inet_ntop: { arguments: ['i32', 'buffer', 'buffer', 'u32'], return: 'pointer' },
  inet_pton: { arguments: ['i32', 'string', 'buffer'], return: 'i32' },
  sendto: { arguments: ['i32', 'buffer', 'u64', 'i32', 'buffer', 'u32'], return: 'i64' },
  setsockopt: { arguments: ['i32', 'i32', 'i32', 'buffer', 'u32'], return: 'i32' },
  socket: { arguments: ['i32', 'i32', 'i32'], return: 'i32' },
} as const;

/** The C library of this process. */
export interface Libc extends Omit<Functions, '__errno_location'> {
  /** What the call just made failed with. Read it first: whatever runs in between may make calls of its own. */
  errno(): number;
}

type Functions = Ffi.DynamicLibraryResult<typeof PROTOTYPES>['functions'];

/** Each thread has its own: module state is not shared, and neither is errno. */
let loaded: { libc: Libc; ffi: typeof Ffi } | { libc: undefined; cause: unknown } | undefined;

/**
 * Whether the calls of this package can be made here: Linux on x64 or arm64, and a Node with `node:ffi` (26.10 or later)
 * that is allowed to use it. The first call loads it.
 */
export function ffiAvailable(): boolean {
  loaded ??= load();
  return loaded.libc !== undefined;
}

/**
 * @param what the call that is wanted, for the error
 * @throws FfiUnavailable
 */
export function libcFor(what: string): Libc {
  loaded ??= load();
  if (loaded.libc === undefined) throw new FfiUnavailable(what, loaded.cause);
  return loaded.libc;
}

/** A function that not every C library has, all of whose arguments are `size_t`; undefined where it is not to be had. */
export function optionalFunction(name: string): ((argument: bigint) => number) | undefined {
  loaded ??= load();
  if (loaded.libc === undefined) return undefined;
  try {
    return loaded.ffi.dlopen(null, { [name]: { arguments: ['u64'], return: 'i32' } }).functions[name];
  } catch {
    return undefined;
  }
}

function load(): NonNullable<typeof loaded> {
  // Elsewhere numbers (`SO_REUSEPORT`, …), layouts and the way to errno differ: refused rather than guessed.
  const known = process.platform === 'linux' && (process.arch === 'x64' || process.arch === 'arm64');
  if (!known) return { libc: undefined, cause: undefined };
  try {
    const ffi = loadQuietly();
    if (ffi === undefined) return { libc: undefined, cause: undefined };
    const { __errno_location: errnoLocation, ...functions } = ffi.dlopen(null, PROTOTYPES).functions;
    const location = errnoLocation(); // fixed for the life of a thread
    return { libc: { ...functions, errno: () => ffi.getInt32(location, 0) }, ffi };
  } catch (cause) {
    return { libc: undefined, cause };
  }
}

/**
 * Node announces on stderr that FFI is experimental when the module is first loaded. Who runs a proxy did not choose it and
 * can do nothing about it, so that one warning is left out; every other still comes.
 */
function loadQuietly(): typeof Ffi | undefined {
  const { emitWarning } = process;
  const filtered = (warning: string | Error, ...rest: unknown[]): void => {
    if (rest[0] === 'ExperimentalWarning' && String(warning).startsWith('FFI ')) return;
    Reflect.apply(emitWarning, process, [warning, ...rest]);
  };
  process.emitWarning = filtered as typeof process.emitWarning;
  try {
    return process.getBuiltinModule('node:ffi') as typeof Ffi | undefined;
  } finally {
    process.emitWarning = emitWarning;
  }
}
