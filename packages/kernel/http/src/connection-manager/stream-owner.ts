import type { Protocol, RequestHeaders, ResponseEncoder, StreamInfo, StreamMeter } from '@dragoman/core';
import type { ActiveStream } from './active-stream.ts';
import type { ConnectionManagerConfig } from './config.ts';
import type { StreamTimers, TimedStream } from './stream-timers.ts';

/** What a stream asks of its connection. */
export interface StreamOwner {
  readonly config: ConnectionManagerConfig;
  readonly connectionInfo: StreamInfo['connection'];
  readonly localPort: number;
  /** The connection carries several streams at a time, and survives what ends one of them. */
  readonly concurrent: boolean;
  takeTimers(stream: TimedStream): StreamTimers;
  giveTimers(timers: StreamTimers): void;
  /** Whether the response in hand should be the connection's last. */
  shouldClose(): boolean;
  /** The connection has more to send than it should. */
  sampleBuffered(): void;
  /** Of the connection, so far. */
  readonly bytesWritten: number;
  /** Puts down what a stream that is over has moved, and what the connection has since it was last asked. */
  countBytes(info: StreamInfo, meter: StreamMeter | undefined): void;
  /** Puts down the same of a stream that runs on. */
  sampleBytes(info: StreamInfo, meter: StreamMeter | undefined): void;
  /** The head of a request is there. */
  onRequestHeaders(headers: RequestHeaders): void;
  onStreamFinished(stream: ActiveStream): void;
  /** The stream that goes on for `stream`, which is over: its request begins anew. */
  restart(stream: ActiveStream, encoder: ResponseEncoder, protocol: Protocol): ActiveStream;
}
