import { parseJson } from './json.ts';

/** A whole body, up to a size. */
export class BodyCollector {
  private readonly maxBytes: number;
  private readonly chunks: Buffer[] = [];
  private size = 0;

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
  }

  /** Takes the next bytes. @returns that it is too much, else undefined */
  push(chunk: Buffer): string | undefined {
    this.size += chunk.length;
    if (this.size > this.maxBytes) return `answered with more than ${this.maxBytes} bytes`;
    this.chunks.push(chunk);
    return undefined;
  }

  bytes(): Buffer {
    return Buffer.concat(this.chunks, this.size);
  }

  /** @throws Error of {@link parseJson} */
  json(): unknown {
    return parseJson(this.bytes());
  }
}
