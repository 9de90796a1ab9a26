import { describe, expect, it } from 'vitest';
import { FfiUnavailable } from '../src/index.ts';
import { runChild } from './children.ts';
import { describeWithFfi } from './with-ffi.ts';

/** Every call, as a child prints its error. */
const EVERY_CALL = `
  const calls = [
    () => posix.dup(1),
    () => posix.closeDescriptor(99),
    () => posix.socketAddress(1),
    () => posix.bindSocket({ ip: '127.0.0.1', port: 0 }),
    () => posix.sendDatagram('@nobody', ''),
    () => posix.originalDestination(1, 'ipv4'),
  ];
  console.log(posix.ffiAvailable());
  for (const call of calls) {
    try { call(); } catch (error) { console.log(error instanceof posix.FfiUnavailable, error.message); }
  }
`;

const ADVICE = 'needs node:ffi: run Dragoman on Node.js 26.10 or later, on Linux (x64 or arm64)';

describe('FfiUnavailable', () => {
  it('says what was wanted, what to do and why', () => {
    const cause = new Error('not allowed');
    const error = new FfiUnavailable('dup', cause);
    expect(error).toMatchObject({ name: 'FfiUnavailable', message: `dup ${ADVICE} (not allowed)`, cause });
    expect('cause' in new FfiUnavailable('dup')).toBe(false);
  });
});

describeWithFfi('without node:ffi', () => {
  it('every call throws FfiUnavailable', () => {
    const { stdout, stderr } = runChild(EVERY_CALL, ['--no-experimental-ffi']);
    expect(stderr).toBe('');
    expect(stdout.trimEnd().split('\n')).toEqual([
      'false',
      `true dup ${ADVICE}`,
      `true close ${ADVICE}`,
      `true getsockname ${ADVICE}`,
      `true binding without listening ${ADVICE}`,
      `true sending to a Unix datagram socket ${ADVICE}`,
      `true SO_ORIGINAL_DST ${ADVICE}`,
    ]);
  });

  it("passes on what Node's permission model says", () => {
    const { stdout } = runChild(EVERY_CALL, ['--permission', '--allow-fs-read=*']);
    expect(stdout).toContain(`true dup ${ADVICE} (Access to this API has been restricted. Use --allow-ffi`);
  });

  it.each([
    ['platform', 'darwin'],
    ['arch', 'arm'],
  ])('a %s of %s is refused, though it has node:ffi', (property, value) => {
    const { stdout } = runChild(
      `Object.defineProperty(process, '${property}', { value: '${value}' });${EVERY_CALL}`,
    );
    expect(stdout).toContain(`false\ntrue dup ${ADVICE}\n`);
  });
});

describeWithFfi('the warning that FFI is experimental', () => {
  it('is not printed', () => {
    const { stdout, stderr } = runChild('posix.closeDescriptor(posix.dup(1)); console.log("done");');
    expect(stdout).toBe('done\n');
    expect(stderr).toBe('');
  });

  it('is the only one that is not', () => {
    const { stdout, stderr } = runChild(`
      const before = process.emitWarning;
      const load = process.getBuiltinModule;
      process.getBuiltinModule = (id) => {
        process.emitWarning('something else', 'ExperimentalWarning');
        return load(id);
      };
      posix.ffiAvailable();
      console.log(process.emitWarning === before);
    `);
    expect(stdout).toBe('true\n');
    expect(stderr).toContain('ExperimentalWarning: something else');
    expect(stderr).not.toContain('FFI');
  });

  it('is there when something else loads node:ffi, so the test above can fail', () => {
    const { stderr } = runChild("process.getBuiltinModule('node:ffi');");
    expect(stderr).toContain('ExperimentalWarning: FFI is');
  });
});
