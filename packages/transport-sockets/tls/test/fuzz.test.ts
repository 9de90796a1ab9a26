import { connect, type Socket } from 'node:net';
import { expectNoLeaks, realClientHello, TestAuthority } from '@dragoman/testing';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { describeTlsError } from '../src/failures/failure-reason.ts';
import { type Config, inline } from './support/config.ts';
import { nodeClient, RawClient, rawServer } from './support/foreign.ts';
import { ClientScene, cleanUp, onCleanUp, ServerScene } from './support/scene.ts';

const root = TestAuthority.root();
const server = root.issue({ subject: 'CN=server', san: [{ dns: 'a.example' }] });
const client = root.issue({ subject: 'CN=client' });
const trusted = { trusted_ca: { inline_string: root.pem } };

afterEach(cleanUp);

/** What happens to the bytes of one direction. */
interface Damage {
  readonly at: number;
  readonly kind: 'flip' | 'cut' | 'insert' | 'repeat' | 'end' | 'reset';
  readonly value: number;
}

const damage: fc.Arbitrary<Damage> = fc.record({
  at: fc.integer({ min: 0, max: 3000 }),
  kind: fc.constantFrom('flip', 'cut', 'insert', 'repeat', 'end', 'reset'),
  value: fc.integer({ min: 1, max: 255 }),
});

/** Passes bytes on, damaged at one place. */
function pass(from: Socket, to: Socket, damages: readonly Damage[]): void {
  let seen = 0;
  from.on('data', (chunk: Buffer) => {
    let bytes = chunk;
    for (const { at, kind, value } of damages) {
      const place = at - seen;
      if (place < 0 || place >= chunk.length) continue;
      const head = bytes.subarray(0, place);
      const rest = bytes.subarray(place);
      switch (kind) {
        case 'flip':
          bytes = Buffer.from(bytes);
          bytes[place] = (bytes[place] ?? 0) ^ value;
          break;
        case 'cut':
          bytes = Buffer.concat([head, rest.subarray(Math.min(value, rest.length))]);
          break;
        case 'insert':
          bytes = Buffer.concat([head, Buffer.alloc(value, value), rest]);
          break;
        case 'repeat':
          bytes = Buffer.concat([head, rest, rest]);
          break;
        case 'end':
          to.end(head);
          return;
        case 'reset':
          to.resetAndDestroy();
          return;
      }
    }
    seen += chunk.length;
    if (to.writable) to.write(bytes);
  });
  from.on('end', () => to.end());
  from.on('error', () => to.destroy());
  from.on('close', () => to.destroy());
}

const both = (fields: Config): Config => ({
  require_client_certificate: true,
  common_tls_context: { tls_certificates: [inline(server)], validation_context: trusted, ...fields },
});

describe('damaged bytes', () => {
  it.each(['TLSv1_2', 'TLSv1_3'])('between two ends harm nobody, with %s', async (version) => {
    const tls_params = { tls_maximum_protocol_version: version };
    await expectNoLeaks(async () => {
      const scene = await ServerScene.start(both({ tls_params }));
      const cluster = new ClientScene({
        sni: 'a.example',
        common_tls_context: { tls_certificates: [inline(client)], validation_context: trusted, tls_params },
      });
      let upstream: readonly Damage[] = [];
      let downstream: readonly Damage[] = [];
      const port = await rawServer((from) => {
        const to = connect({ port: scene.port, host: '127.0.0.1', allowHalfOpen: true });
        to.on('error', () => {});
        onCleanUp(() => to.destroy());
        pass(from, to, upstream);
        pass(to, from, downstream);
      });
      let whole = 0;
      await fc.assert(
        fc.asyncProperty(
          fc.array(damage, { maxLength: 2 }),
          fc.array(damage, { maxLength: 2 }),
          async (up, down) => {
            [upstream, downstream] = [up, down];
            const count = scene.ends.length;
            const one = cluster.connect(port);
            one.connection.writeText('ping');
            const stop = setTimeout(() => one.connection.close('now'), 100);
            const end = await scene.end(count);
            const poll = setInterval(() => {
              if (end.received === 'ping' && one.ready) one.connection.close('now');
            }, 1);
            await one.untilClosed();
            clearInterval(poll);
            clearTimeout(stop);
            await end.untilClosed();
            // All of it, or nothing: what is damaged is never taken for something else.
            expect(['', 'ping']).toContain(end.received);
            expect([one.received, one.early, end.early]).toEqual(['', 0, 0]);
            if (end.received !== '') whole++;
          },
        ),
        { numRuns: 60 },
      );
      expect(whole).toBeGreaterThan(0);
      await cleanUp();
    });
  });

  it('in place of a ClientHello harm nobody', async () => {
    const hello = await realClientHello({ servername: 'a.example', ALPNProtocols: ['h2'] });
    await expectNoLeaks(async () => {
      const scene = await ServerScene.start(both({ alpn_protocols: ['h2'] }));
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.tuple(fc.nat(hello.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 }),
          fc.uint8Array({ maxLength: 40 }),
          fc.integer({ min: 1, max: 700 }),
          async (changes, more, step) => {
            const bytes = Buffer.from(hello);
            for (const [at, value] of changes) bytes[at] = value;
            const count = scene.ends.length;
            const raw = await RawClient.connect(scene.port);
            await raw.sendInPieces(Buffer.concat([bytes, more]), step);
            raw.socket.end();
            const end = await scene.end(count);
            await end.untilClosed();
            expect([end.ready, end.received]).toEqual([false, '']);
            expect(end.failure).toMatch(/^(|TLS_error:.*:TLS_error_end)$/);
          },
        ),
        { numRuns: 150 },
      );
      const good = await nodeClient(scene.port, { cert: client.pem, key: client.keyPem });
      good.destroy();
      await cleanUp();
    });
  });
});

describe('error texts', () => {
  it('are made of whatever errors say', () => {
    fc.assert(
      fc.property(
        fc.record(
          {
            message: fc.string(),
            code: fc.string(),
            syscall: fc.string(),
            reason: fc.string(),
            library: fc.string(),
          },
          { requiredKeys: ['message'] },
        ),
        (fields) => {
          const { reason } = describeTlsError(Object.assign(new Error(fields.message), fields));
          expect(reason).toMatch(/^(|TLS_error:\|[\s\S]*:TLS_error_end)$/);
        },
      ),
    );
  });

  it.each([
    [
      'ECONNRESET',
      'read',
      'TLS_error:|33554536:system library:OPENSSL_internal:Connection reset by peer:TLS_error_end',
    ],
    ['EPIPE', 'write', 'TLS_error:|33554464:system library:OPENSSL_internal:Broken pipe:TLS_error_end'],
    ['ECONNRESET', undefined, ''],
    ['EWHATEVER', 'read', ''],
  ])('%s of %s', (code, syscall, reason) => {
    const told = describeTlsError(Object.assign(new Error('x'), { code, syscall }));
    expect(told).toEqual({ reason, counted: false, missingCertificate: false });
  });

  it('of a reason that BoringSSL does not have are OpenSSL’s', () => {
    const error = Object.assign(
      new Error('40F3:error:0A00012F:SSL routines::dane tlsa bad data length:x.c:1:'),
      {
        library: 'SSL routines',
        reason: 'dane tlsa bad data length',
      },
    );
    expect(describeTlsError(error)).toMatchObject({
      reason: 'TLS_error:|167772463:SSL routines:OPENSSL_internal:DANE_TLSA_BAD_DATA_LENGTH:TLS_error_end',
      counted: true,
    });
  });
});
