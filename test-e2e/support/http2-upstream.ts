import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { FrameConnection, FrameFlag, frames, FrameType, HTTP2_PREFACE } from '@dragoman/testing';

/** What an upstream does with a connection. */
export interface UpstreamScript {
  /** Nothing is sent, nor acknowledged, by itself: {@link act} begins when the connection is there. */
  readonly raw?: boolean;
  /** By default begins with the first request, which stands on stream 1. */
  readonly act: (upstream: UpstreamConnection) => void | Promise<void>;
}

/** The server side of HTTP/2 in a test's hands. What comes is kept as frames; the requests of others stand in `response`, without meaning. */
export class UpstreamConnection extends FrameConnection {
  private prefaceLeft = HTTP2_PREFACE.length;
  private begun = false;
  private readonly script: UpstreamScript;

  constructor(socket: Socket, script: UpstreamScript) {
    super(socket, { ackSettings: script.raw !== true });
    this.script = script;
    if (script.raw === true) this.act();
    else this.send(frames.settings());
  }

  override feed(bytes: Buffer): void {
    const skipped = Math.min(this.prefaceLeft, bytes.length);
    this.prefaceLeft -= skipped;
    super.feed(bytes.subarray(skipped));
    if (this.script.raw !== true && this.framesOf(FrameType.headers).length > 0) this.act();
  }

  /** Waits until the request is there. */
  async requested(): Promise<void> {
    await this.until(() => this.framesOf(FrameType.headers).length > 0, 'a request');
  }

  /** Frames of a type that acknowledge. */
  acks(type: number): number {
    return this.framesOf(type).filter(({ flags }) => (flags & FrameFlag.ack) !== 0).length;
  }

  private act(): void {
    if (this.begun) return;
    this.begun = true;
    // The connection may end before everything was sent.
    void Promise.resolve(this.script.act(this)).catch(() => {});
  }
}

/** An upstream that breaks HTTP/2 as its script says. */
export class ScriptedUpstream {
  /** For connections to come. */
  script: UpstreamScript = { act() {} };
  private connections: UpstreamConnection[] = [];
  private readonly server: Server;
  private onConnection: (() => void) | undefined = undefined;

  private constructor() {
    this.server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      this.connections.push(new UpstreamConnection(socket, this.script));
      this.onConnection?.();
    });
  }

  static async start(): Promise<ScriptedUpstream> {
    const made = new ScriptedUpstream();
    await new Promise<void>((resolve) => made.server.listen(0, '127.0.0.1', resolve));
    return made;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** The first connection since {@link disconnect}. */
  async connection(): Promise<UpstreamConnection> {
    if (this.connections.length === 0) await new Promise<void>((resolve) => (this.onConnection = resolve));
    return this.connections[0] as UpstreamConnection;
  }

  /** Connections since {@link disconnect}. */
  get count(): number {
    return this.connections.length;
  }

  async disconnect(): Promise<void> {
    const { connections } = this;
    this.connections = [];
    for (const connection of connections) await connection[Symbol.asyncDispose]();
  }

  async stop(): Promise<void> {
    await this.disconnect();
    await new Promise((resolve) => this.server.close(resolve));
  }
}
