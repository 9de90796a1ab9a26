/** The most of an answer's body that becomes its `grpc-message`, bytes (Envoy: `MAX_BUFFERED_PLAINTEXT_LENGTH`). */
export const MAX_TEXT_BYTES = 16_384;

/** Keeps the beginning of a body that is no gRPC. */
export class ErrorText {
  private readonly parts: Buffer[] = [];
  private length = 0;

  push(chunk: Buffer): void {
    const part = chunk.subarray(0, MAX_TEXT_BYTES - this.length);
    if (part.length === 0) return;
    this.parts.push(part);
    this.length += part.length;
  }

  bytes(): Buffer {
    return Buffer.concat(this.parts);
  }
}
