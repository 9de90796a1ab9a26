import type { ClusterInfo, Host, TlsInfo, TransportOptions } from '@dragoman/core';
import { testHosts } from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { Rig } from './rig.ts';

const RETRIED = { retry_policy: { retry_on: '5xx' } };
/** The server name is the host that the request asks for. */
const autoSni: ClusterInfo['transportOptions'] = (headers) =>
  headers === undefined
    ? undefined
    : ({ key: headers.authority, serverName: headers.authority } as TransportOptions);

describe('what a try asks of its connection', () => {
  test('nothing, where the cluster has no such thing', () => {
    expect(new Rig().request().wishes).toEqual([undefined]);
  });

  test('the protocol of the request downstream', () => {
    const rig = new Rig({ cluster: { usesDownstreamProtocol: true } });
    rig.stream.info.protocol = 'HTTP/2';
    expect(rig.request().wishes).toEqual([{ downstreamProtocol: 'HTTP/2', transport: undefined }]);
  });

  test('a server name that only the request knows, each time anew', () => {
    const rig = new Rig({
      headers: { ':authority': 'shop.test' },
      action: { ...RETRIED, auto_host_rewrite: true },
      cluster: { transportOptions: autoSni },
      hosts: [namedHost('a.test'), namedHost('b.test')],
    }).request();
    rig.last.fail('remote-connection-failure');
    rig.backOff();
    expect(rig.wishes.map((wishes) => wishes?.transport?.key)).toEqual(['a.test', 'b.test']);
    expect(rig.wishes[0]?.downstreamProtocol).toBeUndefined();
  });

  test('nothing, when the cluster finds nothing to ask for', () => {
    expect(new Rig({ cluster: { transportOptions: () => undefined } }).request().wishes).toEqual([undefined]);
  });
});

describe('the scheme of a host with a transport socket of its own', () => {
  test.each<[cluster: boolean, host: boolean | undefined, scheme: string]>([
    [false, undefined, 'http'],
    [true, undefined, 'https'],
    [false, true, 'https'],
    [true, false, 'http'],
  ])('cluster encrypted: %s, host: %s', (secure, own, scheme) => {
    const hosts = [{ ...testHosts(1)[0], secure: own } as Host];
    const rig = new Rig({ cluster: { secure }, hosts });
    rig.stream.info.schemeMatchUpstream = true;
    rig.request().last.ready();
    expect(rig.last.sent[':scheme']).toBe(scheme);
  });
});

describe('what logs know of an encrypted upstream', () => {
  test('its certificate and the time of the handshake', () => {
    const rig = new Rig().request();
    const tls = { version: 'TLSv1.3' } as TlsInfo;
    rig.last.tls = tls;
    rig.last.handshakeComplete = 17;
    rig.last.ready().respond();
    expect(rig.stream.info.upstreamTls).toBe(tls);
    expect(rig.stream.info.upstreamHandshakeComplete).toBe(17);
  });

  test.each([
    [
      'TLS_error:|268435581:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:TLS_error_end',
      '503 UF upstream_reset_before_response_started{remote_connection_failure|' +
        'TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:TLS_error_end}',
      'TLS_error:|268435581:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:TLS_error_end',
    ],
    [
      'Connection refused',
      '503 UF upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}',
      'delayed connect error: Connection refused',
    ],
  ])('why a handshake failed: %s', (details, outcome, reason) => {
    const rig = new Rig().request();
    rig.last.fail('remote-connection-failure', details);
    expect([rig.outcome, rig.stream.info.upstreamTransportFailureReason]).toEqual([outcome, reason]);
    expect(String(rig.reply.body)).toContain(`transport failure reason: ${reason}`);
  });
});

function namedHost(hostname: string): Host {
  return { ...testHosts(1)[0], hostname } as Host;
}
