const EMPTY = Buffer.alloc(0);
/** Bytes of room to begin with, once there is more than one piece. */
const FIRST_ROOM = 1024;

/** Puts pieces together. Many small ones cost no more memory than twice what is in them; a single one is not copied. */
export class ByteStore {
  private bytes: Buffer = EMPTY;
  private used = 0;
  /** `bytes` is a piece that was given, and has no room of its own. */
  private borrowed = false;

  get length(): number {
    return this.used;
  }

  append(piece: Buffer): void {
    if (piece.length === 0) return;
    if (this.used === 0) {
      this.bytes = piece;
      this.borrowed = true;
    } else {
      this.makeRoom(this.used + piece.length);
      piece.copy(this.bytes, this.used);
    }
    this.used += piece.length;
  }

  /** All of it; the store is empty then. */
  take(): Buffer {
    const taken = this.bytes.subarray(0, this.used);
    this.bytes = EMPTY;
    this.used = 0;
    this.borrowed = false;
    return taken;
  }

  private makeRoom(needed: number): void {
    if (!this.borrowed && needed <= this.bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(FIRST_ROOM, needed, 2 * this.used));
    this.bytes.copy(grown, 0, 0, this.used);
    this.bytes = grown;
    this.borrowed = false;
  }
}
