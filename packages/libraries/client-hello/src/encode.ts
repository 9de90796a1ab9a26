/** What a made ClientHello has, for tests and probes; everything that is left out is as simple as may be. */
export interface HelloParts {
  readonly version?: number;
  readonly ciphers?: readonly number[];
  readonly compressions?: readonly number[];
  /** Undefined: no extensions at all, not even an empty list. */
  readonly extensions?: readonly (readonly [type: number, data: Buffer])[] | undefined;
  readonly sessionId?: Buffer;
}

export const uint16 = (value: number): Buffer => Buffer.from([value >> 8, value & 255]);
export const vector8 = (data: Buffer): Buffer => Buffer.concat([Buffer.from([data.length]), data]);
export const vector16 = (data: Buffer): Buffer => Buffer.concat([uint16(data.length), data]);
export const uint16s = (values: readonly number[]): Buffer => Buffer.concat(values.map(uint16));

export const serverNameExtension = (name: string): readonly [number, Buffer] => [
  0,
  vector16(Buffer.concat([Buffer.from([0]), vector16(Buffer.from(name, 'latin1'))])),
];
export const alpnExtension = (...names: string[]): readonly [number, Buffer] => [
  16,
  vector16(Buffer.concat(names.map((name) => vector8(Buffer.from(name, 'latin1'))))),
];

/** The message without its header. */
export function encodeClientHelloBody(parts: HelloParts): Buffer {
  const { extensions } = parts;
  const list = extensions?.map(([type, data]) => Buffer.concat([uint16(type), vector16(data)]));
  return Buffer.concat([
    uint16(parts.version ?? 0x0303),
    Buffer.alloc(32, 7),
    vector8(parts.sessionId ?? Buffer.alloc(0)),
    vector16(uint16s(parts.ciphers ?? [0x1301])),
    vector8(Buffer.from(parts.compressions ?? [0])),
    ...(list === undefined ? [] : [vector16(Buffer.concat(list))]),
  ]);
}

/** A handshake message. */
export function encodeHandshake(type: number, body: Buffer): Buffer {
  return Buffer.concat([
    Buffer.from([type, body.length >> 16, (body.length >> 8) & 255, body.length & 255]),
    body,
  ]);
}

/** Records of at most `size` bytes. */
export function encodeRecords(bytes: Buffer, size = 16_384, type = 22): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size)
    parts.push(Buffer.concat([Buffer.from([type, 3, 1]), vector16(bytes.subarray(at, at + size))]));
  return Buffer.concat(parts);
}

export const encodeClientHello = (parts: HelloParts, recordSize?: number): Buffer =>
  encodeRecords(encodeHandshake(1, encodeClientHelloBody(parts)), recordSize);
