/** Values that clients make up so that servers stay tolerant (RFC 8701): 0x0a0a, 0x1a1a, … 0xfafa. */
export function isGrease(id: number): boolean {
  return (id & 0x0f0f) === 0x0a0a && id >> 8 === (id & 0xff);
}
