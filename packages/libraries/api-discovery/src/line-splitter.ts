const LINE_FEED = 0x0a;

/** Cuts a stream into lines. Holds at most one line of `maxBytes`. */
export class LineSplitter {
  private readonly maxBytes: number;
  private readonly onLine: (line: Buffer) => string | undefined;
  private parts: Buffer[] = [];
  private held = 0;

  /**
   * @param maxBytes of a line, without its line feed
   * @param onLine gets each line that is not empty; a text says why to stop
   */
  constructor(maxBytes: number, onLine: (line: Buffer) => string | undefined) {
    this.maxBytes = maxBytes;
    this.onLine = onLine;
  }

  /** Takes the next bytes. @returns why to stop: what `onLine` said, or that a line is too long; else undefined */
  push(chunk: Buffer): string | undefined {
    let start = 0;
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, start)) {
      const stop = this.hold(chunk.subarray(start, end)) ?? this.flush();
      if (stop !== undefined) return stop;
      start = end + 1;
    }
    return this.hold(chunk.subarray(start));
  }

  /** Bytes of a line that has not ended. */
  get pendingBytes(): number {
    return this.held;
  }

  private hold(part: Buffer): string | undefined {
    if (part.length === 0) return undefined;
    this.held += part.length;
    if (this.held > this.maxBytes) return `sent a line of more than ${this.maxBytes} bytes`;
    this.parts.push(part);
    return undefined;
  }

  private flush(): string | undefined {
    if (this.held === 0) return undefined;
    const line = this.parts.length === 1 ? this.parts[0] : Buffer.concat(this.parts, this.held);
    this.parts = [];
    this.held = 0;
    return this.onLine(line);
  }
}
