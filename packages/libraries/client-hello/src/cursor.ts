/** Reads vectors of the TLS presentation language from the front of some bytes. What is not there is undefined. */
export class Cursor {
  private readonly bytes: Buffer;
  private at = 0;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  /** Bytes that are left. */
  get left(): number {
    return this.bytes.length - this.at;
  }

  uint8(): number | undefined {
    return this.left < 1 ? undefined : this.bytes[this.at++];
  }

  uint16(): number | undefined {
    if (this.left < 2) return undefined;
    this.at += 2;
    return this.bytes.readUInt16BE(this.at - 2);
  }

  /** `length` bytes, not copied. */
  take(length: number | undefined): Buffer | undefined {
    if (length === undefined || length > this.left) return undefined;
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  /** A vector whose length is one byte. */
  vector8(): Buffer | undefined {
    return this.take(this.uint8());
  }

  /** A vector whose length is two bytes. */
  vector16(): Buffer | undefined {
    return this.take(this.uint16());
  }
}

/** All complete numbers of two bytes. */
export function uint16List(bytes: Buffer): number[] {
  const numbers: number[] = [];
  for (let at = 0; at + 1 < bytes.length; at += 2) numbers.push(bytes.readUInt16BE(at));
  return numbers;
}
