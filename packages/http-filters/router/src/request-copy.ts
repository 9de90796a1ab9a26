import type { ForwardPolicies } from '@dragoman/core';

/** What has come of a request's body, kept for the next try. */
export class RequestCopy {
  readonly chunks: Buffer[] = [];
  bytes = 0;
  private readonly limit: number;

  /** @param streamLimit bytes: what may be kept of a stream where its route does not say more */
  constructor(policies: ForwardPolicies, streamLimit: number) {
    const { requestBodyBufferLimitBytes, requestBufferLimitBytes = streamLimit } = policies;
    this.limit = requestBodyBufferLimitBytes ?? Math.min(requestBufferLimitBytes, streamLimit);
  }

  hasRoomFor(chunk: Buffer): boolean {
    return this.bytes + chunk.length <= this.limit;
  }

  /** Keeps a copy of `chunk`, which may be borrowed; gives the copy. */
  add(chunk: Buffer): Buffer {
    const copy = Buffer.from(chunk);
    if (copy.length > 0) this.chunks.push(copy);
    this.bytes += copy.length;
    return copy;
  }
}
