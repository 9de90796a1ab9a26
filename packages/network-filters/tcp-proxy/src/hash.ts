/**
 * A hash of 53 bits, the most that a number holds exactly: two multiply-and-rotate lanes over the bytes, each finished
 * as MurmurHash3 does. Not for secrets, and not Envoy's xxHash64, whose values mean nothing outside one process
 * either: only the spread and that equal texts agree matter.
 *
 * @param text characters up to U+00FF (an address)
 */
export function hash53(text: string): number {
  let low = 0x9e3779b9;
  let high = 0x85ebca6b;
  for (let i = 0; i < text.length; i++) {
    const byte = text.charCodeAt(i);
    low = Math.imul(rotate(low ^ byte, 13), 0xcc9e2d51);
    high = Math.imul(rotate(high ^ byte, 17), 0x1b873593);
  }
  low = finish(low ^ text.length);
  high = finish(high ^ low);
  return (high >>> 11) * 0x1_0000_0000 + (finish(low ^ high) >>> 0);
}

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}

function finish(value: number): number {
  let mixed = value;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}
