/** What has come of a request's body, kept for the next try. */
export class RequestCopy {
  readonly chunks: Buffer[] = [];
  bytes = 0;

  /** Keeps a copy of `chunk`, which may be borrowed; gives the copy. */
  add(chunk: Buffer): Buffer {
    const copy = Buffer.from(chunk);
    if (copy.length > 0) this.chunks.push(copy);
    this.bytes += copy.length;
    return copy;
  }
}
