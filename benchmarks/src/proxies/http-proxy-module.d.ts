/** What of the untyped package `http-proxy` is used here. */
declare module 'http-proxy' {
  import type { EventEmitter } from 'node:events';
  import type { Agent, IncomingMessage, ServerResponse } from 'node:http';

  interface Proxy extends EventEmitter {
    web(request: IncomingMessage, response: ServerResponse): void;
    on(
      event: 'error',
      listener: (error: Error, request: IncomingMessage, response: ServerResponse) => void,
    ): this;
  }
  const httpProxy: { createProxyServer(options: { target: string; agent: Agent }): Proxy };
  export default httpProxy;
}
