/** What these tests use of the package `ws`, which has no types of its own. */
declare module 'ws' {
  import type { EventEmitter } from 'node:events';
  import type { IncomingMessage, Server } from 'node:http';

  export class WebSocket extends EventEmitter {
    constructor(
      url: string | null,
      protocols?: undefined | { readonly perMessageDeflate?: boolean },
      options?: object,
    );
    readonly readyState: number;
    send(data: string | Buffer): void;
    ping(data?: string): void;
    close(code?: number, reason?: string): void;
    terminate(): void;
  }

  export class WebSocketServer extends EventEmitter {
    constructor(options: {
      readonly server: Server;
      readonly maxPayload?: number;
      readonly verifyClient?: (
        info: { readonly req: IncomingMessage },
        answer: (accepted: boolean, status?: number, text?: string) => void,
      ) => void;
    });
    readonly clients: Set<WebSocket>;
    close(): void;
  }
}
