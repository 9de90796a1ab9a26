/** The upper 32 bits of the product of two numbers of 32 bits, either of them signed or not; as a signed number or, by its lower 32 bits, an unsigned one. */
export function highWord(a: number, b: number): number {
  const a0 = a & 0xffff;
  const a1 = a >>> 16;
  const b0 = b & 0xffff;
  const b1 = b >>> 16;
  const upper = a1 * b0 + ((a0 * b0) >>> 16);
  const middle = a0 * b1 + (upper & 0xffff);
  return a1 * b1 + (upper >>> 16) + (middle >>> 16);
}
