import { expectNoLeaks, TestAuthority } from '@dragoman/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { inline } from './support/config.ts';
import { ClientScene, cleanUp, ServerScene, talk } from './support/scene.ts';

const root = TestAuthority.root();
const between = root.intermediate();
const server = between.issue({
  subject: 'CN=server',
  san: [{ dns: 'a.example' }, { ip: '127.0.0.1' }],
});
const client = between.issue({
  subject: 'CN=client',
  san: [{ uri: 'spiffe://test/client' }, { dns: 'c.example' }, { email: 'c@c.example' }],
});
const trusted = { trusted_ca: { inline_string: root.pem } };

afterEach(cleanUp);

describe('a connection', () => {
  it.each(['TLSv1_2', 'TLSv1_3'])('of %s with certificates on both sides', async (version) => {
    const params = { tls_minimum_protocol_version: version, tls_maximum_protocol_version: version };
    const scene = await ServerScene.start({
      require_client_certificate: true,
      common_tls_context: {
        tls_certificates: [inline(server)],
        tls_params: params,
        validation_context: trusted,
        alpn_protocols: ['h2', 'http/1.1'],
      },
    });
    const cluster = new ClientScene({
      sni: 'a.example',
      auto_sni_san_validation: true,
      common_tls_context: {
        tls_certificates: [inline(client)],
        tls_params: params,
        validation_context: trusted,
        alpn_protocols: ['http/1.1', 'h2'],
      },
    });
    const one = cluster.connect(scene.port);
    const other = await scene.end();
    await talk(one, other);
    expect([one.early, other.early]).toEqual([0, 0]);
    const name = version === 'TLSv1_2' ? 'TLSv1.2' : 'TLSv1.3';
    const cipher = version === 'TLSv1_2' ? 'ECDHE-ECDSA-AES128-GCM-SHA256' : 'TLS_AES_128_GCM_SHA256';
    expect(other.info).toMatchObject({
      requestedServerName: 'a.example',
      negotiatedProtocol: 'h2',
      applicationProtocols: ['http/1.1', 'h2'],
      transportFailureReason: '',
    });
    expect(other.info.handshakeComplete).toBeGreaterThan(0);
    expect(one.info).toMatchObject({ negotiatedProtocol: 'h2', requestedServerName: 'a.example' });
    const seen = other.info.tls;
    expect({ ...seen, peer: undefined }).toMatchObject({ version: name, cipher, group: 'X25519' });
    expect(seen?.peerCertificateValidated).toBe(true);
    expect(seen?.peerSubject).toBe('CN=client');
    expect(seen?.peerIssuer).toBe('CN=Test Intermediate');
    expect(seen?.peerSerial).toBe(client.serial.toString(16).padStart(32, '0'));
    expect(seen?.peerUriSans).toEqual(['spiffe://test/client']);
    expect(seen?.peerDnsSans).toEqual(['c.example']);
    expect(seen?.peerEmailSans).toEqual(['c@c.example']);
    expect(seen?.peerFingerprint256).toMatch(/^[0-9a-f]{64}$/);
    expect(seen?.peerChainFingerprints256).toHaveLength(2);
    expect(seen?.peerChainSerials?.[0]).toBe(seen?.peerSerial);
    expect(seen?.peerCertificatePem).toBe(client.pem);
    expect(seen?.peerChainPem).toBe(client.chainPem);
    expect(seen?.localSubject).toBe('CN=server');
    expect(seen?.localDnsSans).toEqual(['a.example']);
    const known = one.info.tls;
    expect(known?.version).toBe(name);
    expect(known?.cipher).toBe(cipher);
    expect(known?.group).toBe('X25519');
    expect(known?.serverName).toBe('a.example');
    expect(known?.peerCertificateValidated).toBe(true);
    expect(known?.peerSubject).toBe('CN=server');
    expect(known?.peerIpSans).toEqual(['127.0.0.1']);
    expect(known?.localSubject).toBe('CN=client');
    for (const scope of [scene, cluster]) {
      expect(scope.ssl('handshake')).toBe(1);
      expect(scope.ssl(`versions.${name}`)).toBe(1);
      expect(scope.ssl(`ciphers.${cipher}`)).toBe(1);
      expect(scope.ssl('curves.X25519')).toBe(1);
      expect(scope.ssl('no_certificate')).toBe(0);
      expect(scope.ssl('connection_error')).toBe(0);
    }
  });

  it('leaves nothing behind, whichever side ends it, and however', async () => {
    await expectNoLeaks(async () => {
      const scene = await ServerScene.start({ common_tls_context: { tls_certificates: [inline(server)] } });
      const cluster = new ClientScene({ sni: 'a.example' });
      for (const side of ['client', 'server'] as const)
        for (const mode of ['flush', 'flush-and-wait', 'now', 'reset'] as const) {
          const one = cluster.connect(scene.port);
          const other = await scene.end(scene.ends.length);
          await talk(one, other);
          (side === 'client' ? one : other).connection.close(mode);
          await one.untilClosed();
          await other.untilClosed();
        }
      await cleanUp();
    });
  });
});
