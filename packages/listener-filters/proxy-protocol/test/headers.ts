export const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');

const u16 = (value: number): Buffer => Buffer.from([value >> 8, value & 255]);

export interface V2Parts {
  /** Default 0x21: version 2, PROXY. */
  readonly versionAndCommand?: number;
  /** Default 0x11: IPv4, stream. */
  readonly family?: number;
  /** Default {@link IPV4}. */
  readonly addresses?: Buffer;
  readonly tlvs?: readonly Buffer[];
  /** What the header says of its length, instead of the truth. */
  readonly length?: number;
}

/** 1.2.3.4:773 → 5.6.7.8:80. */
export const IPV4 = Buffer.from([1, 2, 3, 4, 5, 6, 7, 8, 3, 5, 0, 80]);
/** [2001:db8::1]:773 → [2001:db8::2]:80. */
export const IPV6 = Buffer.from(
  '20010db8000000000000000000000001'.concat('20010db8000000000000000000000002', '03050050'),
  'hex',
);

export function v2(parts: V2Parts = {}): Buffer {
  const { versionAndCommand = 0x21, family = 0x11, addresses = IPV4, tlvs = [] } = parts;
  const rest = Buffer.concat([addresses, ...tlvs]);
  return Buffer.concat([
    SIGNATURE,
    Buffer.from([versionAndCommand, family]),
    u16(parts.length ?? rest.length),
    rest,
  ]);
}

export function tlv(type: number, value: Buffer | string): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value;
  return Buffer.concat([Buffer.from([type]), u16(bytes.length), bytes]);
}
