import type { Protocol, RequestHeaders, ResponseEncoder, StreamInfo } from '@dragoman/core';
import type { ActiveStream } from './active-stream.ts';
import type { ConnectionManagerConfig } from './config.ts';
import type { StreamTimers, TimedStream } from './stream-timers.ts';

/** What a stream asks of its connection. */
export interface StreamOwner {
  readonly config: ConnectionManagerConfig;
  readonly connectionInfo: StreamInfo['connection'];
  readonly localPort: number;
  takeTimers(stream: TimedStream): StreamTimers;
  giveTimers(timers: StreamTimers): void;
  /** Whether the response in hand should be the connection's last. */
  shouldClose(): boolean;
  /** The connection has more to send than it should. */
  sampleBuffered(): void;
  /** Of the connection, so far. */
  readonly bytesWritten: number;
  /** Puts down what the connection has moved since the stream before this one. */
  countBytes(info: StreamInfo): void;
  /** Puts down the same of a stream that runs on. */
  sampleBytes(info: StreamInfo): void;
  /** The head of a request is there. */
  onRequestHeaders(headers: RequestHeaders): void;
  onStreamFinished(stream: ActiveStream): void;
  /** The stream that goes on for `stream`, which is over: its request begins anew. */
  restart(stream: ActiveStream, encoder: ResponseEncoder, protocol: Protocol): ActiveStream;
}
