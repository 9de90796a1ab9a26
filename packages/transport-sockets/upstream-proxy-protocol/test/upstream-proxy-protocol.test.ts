import { create, ProxyProtocolUpstreamTransportSchema } from '@dragoman/api';
import { ConfigError, ExtensionRegistry, type UpstreamTransportSocket } from '@dragoman/core';
import { describe, expect, it } from 'vitest';
import { upstreamProxyProtocol } from '../src/index.ts';
import { client, type Config, contextWith, INFO, message, socketFor, V2 } from './scene.ts';

const OPTIONS = client('1.2.3.4:1', '5.6.7.8:2');
const LINE = 'PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n';

/** A transport socket that says it has everything. */
class Tls implements UpstreamTransportSocket {
  readonly name = 'tls';
  readonly secure = true;
  readonly calls: unknown[][] = [];
  serverName = 'a.test';
  applicationProtocols: readonly string[] = ['h2'];
  readonly kind = 'the right this';

  preamble(): Buffer {
    return Buffer.from('inner');
  }
  wrap(...args: unknown[]): string {
    this.calls.push(['wrap', ...args]);
    return this.kind;
  }
  wrapLater(...args: unknown[]): string {
    this.calls.push(['wrapLater', ...args]);
    return this.kind;
  }
  close(): void {
    this.calls.push(['close']);
  }
}

describe('what it wraps', () => {
  it('may be a plain socket', () => {
    const socket = socketFor(undefined);
    expect(socket).toMatchObject({ name: 'raw_buffer', secure: false, usesProxyProtocol: true });
    expect([socket.wrap, socket.wrapLater, socket.serverName, socket.applicationProtocols]).toEqual(
      Array(4).fill(undefined),
    );
    expect(socket.preamble?.(INFO, OPTIONS)?.toString()).toBe(LINE);
    socket.close?.();
  });

  it('stays what it is, after the header', () => {
    const tls = new Tls();
    const socket = socketFor(undefined, contextWith(tls), 'tls');
    expect(socket).toMatchObject({ name: 'tls', secure: true, usesProxyProtocol: true });
    expect([socket.serverName, socket.applicationProtocols]).toEqual(['a.test', ['h2']]);
    // As it is now, not as it was.
    tls.serverName = 'b.test';
    expect(socket.serverName).toBe('b.test');
    expect(socket.preamble?.(INFO, OPTIONS)?.toString()).toBe(`${LINE}inner`);
    const events = { onReady() {}, onFailed() {} };
    expect(socket.wrap?.('socket', INFO, OPTIONS, events)).toBe(tls.kind);
    expect(socket.wrapLater?.('socket', INFO, undefined, events)).toBe(tls.kind);
    socket.close?.();
    expect(tls.calls).toEqual([
      ['wrap', 'socket', INFO, OPTIONS, events],
      ['wrapLater', 'socket', INFO, undefined, events],
      ['close'],
    ]);
  });
});

describe('config', () => {
  const problems = (config: Config | undefined, wrapped: 'raw' | 'tls' = 'raw', more: object = {}) => {
    try {
      upstreamProxyProtocol.createUpstream?.(message(config, wrapped, more), contextWith());
    } catch (error) {
      if (error instanceof ConfigError)
        return error.problems.map((problem) => `${problem.path}: ${problem.message}`);
      throw error;
    }
    return [];
  };

  it('is found by its type', () => {
    const registry = new ExtensionRegistry([upstreamProxyProtocol]);
    const { typeName } = ProxyProtocolUpstreamTransportSchema;
    expect(registry.resolve('transport-sockets', 'any', typeName, '')).toBe(upstreamProxyProtocol);
    expect(upstreamProxyProtocol.createDownstream).toBeUndefined();
  });

  it.each<[string, Config, 'raw' | 'tls', object, RegExp]>([
    [
      'allow_unspecified_address',
      {},
      'raw',
      { allowUnspecifiedAddress: true },
      /^allow_unspecified_address: is not built/,
    ],
    ['tlv_as_pool_key', {}, 'raw', { tlvAsPoolKey: true }, /^tlv_as_pool_key: is not built/],
    ['no transport socket', {}, 'raw', { transportSocket: undefined }, /^transport_socket: is required/],
    [
      'one that the proxy does not have',
      {},
      'raw',
      { transportSocket: { name: 'envoy.transport_sockets.alts' } },
      /^transport_socket.*envoy\.transport_sockets\.alts/,
    ],
    [
      'one for listeners',
      {},
      'tls',
      {},
      /^transport_socket: envoy\.transport_sockets\.tap cannot be used upstream/,
    ],
    [
      'both a value and a format',
      {
        version: V2,
        addedTlvs: [
          { type: 1, value: Buffer.from('x') },
          { type: 1, value: Buffer.from('x'), formatString: { format: { case: 'textFormat', value: 'x' } } },
        ],
      },
      'raw',
      {},
      /^config\.added_tlvs\[1\]: Invalid TLV configuration: only one of 'value' or 'format_string' may be set\.$/,
    ],
    [
      'neither a value nor a format',
      { version: V2, addedTlvs: [{ type: 1 }] },
      'raw',
      {},
      /^config\.added_tlvs\[0\]: Invalid TLV configuration: one of 'value' or 'format_string' must be set\.$/,
    ],
    [
      'a bad format',
      {
        version: V2,
        addedTlvs: [{ type: 1, formatString: { format: { case: 'textFormat', value: '%NONE%' } } }],
      },
      'raw',
      {},
      /^config\.added_tlvs\[0\]\.format_string.*NONE/,
    ],
    [
      'a value that fits nowhere',
      { version: V2, addedTlvs: [{ type: 1, value: Buffer.alloc(65_497) }] },
      'raw',
      {},
      /^config\.added_tlvs\[0\]\.value: is too long for any header: it has 65497 bytes, at most 65496 fit$/,
    ],
  ])('refuses %s', (_, config, wrapped, more, expected) => {
    const found = problems(config, wrapped, more);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(expected);
  });

  it('says what has no effect with version 1', () => {
    const context = contextWith();
    const config: Config = { passThroughTlvs: {}, addedTlvs: [{ type: 1, value: Buffer.from('x') }] };
    upstreamProxyProtocol.createUpstream?.(message(config), context);
    expect(context.warnings).toEqual([
      'ProxyProtocolUpstreamTransport.config.pass_through_tlvs: has no effect: it needs version V2',
      'ProxyProtocolUpstreamTransport.config.added_tlvs: has no effect: it needs version V2',
    ]);
    upstreamProxyProtocol.createUpstream?.(message({ ...config, version: V2 }), context);
    expect(context.warnings).toHaveLength(2);
  });

  it('takes a message without config', () => {
    expect(create(ProxyProtocolUpstreamTransportSchema).config).toBeUndefined();
    expect(problems(undefined)).toEqual([]);
  });
});
