const INVALID = -1;
const PADDING = 64;

const VALUES: Int8Array = (() => {
  const values = new Int8Array(256).fill(INVALID);
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
  for (let i = 0; i < alphabet.length; i++) values[alphabet.charCodeAt(i)] = i;
  values['='.charCodeAt(0)] = PADDING;
  return values;
})();

const GROUP = 4;

/**
 * Decodes base64 in pieces of any size. Any group of four may be padded: a gRPC-Web client may encode each piece that it sends
 * for itself. Strict as Envoy's: nothing outside of the alphabet, and no bits behind the last byte.
 */
export class Base64Decoder {
  private readonly carry: Buffer = Buffer.alloc(GROUP);
  private carried = 0;

  /** Characters that wait for the rest of their group: 0 to 3. */
  get pending(): number {
    return this.carried;
  }

  /** The bytes of all groups that are whole now; undefined: this is no base64. */
  push(chunk: Buffer): Buffer | undefined {
    const groups = Math.floor((this.carried + chunk.length) / GROUP);
    const decoded = Buffer.allocUnsafe(groups * 3);
    let length = 0;
    let at = 0;
    for (let group = 0; group < groups; group++) {
      while (this.carried < GROUP && (this.carried > 0 || group === 0)) {
        this.carry[this.carried++] = chunk[at++] as number;
      }
      const fromCarry = this.carried === GROUP;
      const added = fromCarry
        ? decodeGroup(this.carry, 0, decoded, length)
        : decodeGroup(chunk, at, decoded, length);
      if (added === 0) return undefined;
      length += added;
      if (fromCarry) this.carried = 0;
      else at += GROUP;
    }
    while (at < chunk.length) this.carry[this.carried++] = chunk[at++] as number;
    return decoded.subarray(0, length);
  }
}

/** Writes one to three bytes, and says how many; 0: the group is invalid. */
function decodeGroup(from: Buffer, at: number, to: Buffer, length: number): number {
  const a = VALUES[from[at] as number] as number;
  const b = VALUES[from[at + 1] as number] as number;
  const c = VALUES[from[at + 2] as number] as number;
  const d = VALUES[from[at + 3] as number] as number;
  if ((a | b | c | d) < 0 || a === PADDING || b === PADDING) return 0;
  to[length] = (a << 2) | (b >> 4);
  if (c === PADDING) return d === PADDING && (b & 0xf) === 0 ? 1 : 0;
  to[length + 1] = ((b & 0xf) << 4) | (c >> 2);
  if (d === PADDING) return (c & 0x3) === 0 ? 2 : 0;
  to[length + 2] = ((c & 0x3) << 6) | d;
  return 3;
}
