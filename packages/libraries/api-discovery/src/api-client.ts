import type { Clock, Timer } from '@dragoman/core';
import type { Dispatcher } from 'undici';
import { ApiConnection } from './connection.ts';
import { printable } from './json.ts';
import type { ApiServerSettings } from './server-settings.ts';

/** A GET. */
export interface ApiRequest {
  /** With its query. */
  readonly path: string;
  /** Milliseconds until the head of the answer. */
  readonly headMs: number;
  /** Milliseconds until its end, at least `headMs`. */
  readonly totalMs: number;
}

/** Headers of an answer, names in lower case. */
export type ApiHeaders = Readonly<Record<string, string | string[] | undefined>>;

/** Why there is no answer that can be used. */
export interface ApiFailure {
  /** For a log: where it happened and what it was; holds no secret. */
  readonly reason: string;
  /** Of the answer; 0 when there was none, or when it broke off. */
  readonly status: number;
  /** What the server asks to wait (Retry-After), milliseconds; 0 when it does not. At most 5 minutes. */
  readonly retryAfterMs: number;
  /** The handler refused the answer. */
  readonly refused: boolean;
}

/** Gets the answer of one request: after any number of data, one of end and failure. Nothing after {@link ApiCall.cancel}. */
export interface ApiHandler {
  /** A 200 begins. */
  onHead?(headers: ApiHeaders): void;
  /** A piece of its body, the receiver's own. A text that is returned refuses the rest: the call fails with it. */
  onData(chunk: Buffer): string | undefined;
  onEnd(): void;
  onFailure(failure: ApiFailure): void;
}

/** A request under way. */
export interface ApiCall {
  /** Gives up; nothing is called any more. */
  cancel(): void;
}

/** How a token goes into a request. */
export type TokenHeader = (token: string) => readonly [name: string, value: string];

const MAX_RETRY_AFTER_MS = 300_000;
/** Of the body of an error: enough for what it says. Of what comes behind it some is read, so that the connection can be used again. */
const MAX_ERROR_BYTES = 4096;
const MAX_SKIPPED_BYTES = 65_536;
const MAX_ERROR_TEXT = 200;

/**
 * Asks an HTTP API, one request at a time. Redirects are not followed. A 401 or 403 has the token read again at once; when it is another one by
 * now, the request is repeated with it, once.
 */
export class ApiClient {
  readonly settings: ApiServerSettings;
  private readonly clock: Clock;
  private readonly tokenHeader: TokenHeader;
  private readonly connection: ApiConnection;
  private current: Call | undefined = undefined;

  constructor(settings: ApiServerSettings, tokenHeader: TokenHeader, clock: Clock) {
    this.settings = settings;
    this.clock = clock;
    this.tokenHeader = tokenHeader;
    this.connection = new ApiConnection(settings);
  }

  /** Begins a request. One that is still under way is given up. */
  get(request: ApiRequest, handler: ApiHandler): ApiCall {
    this.current?.cancel();
    const call = new Call(this.connection, this.tokenHeader, this.clock, request, handler);
    this.current = call;
    call.begin();
    return call;
  }

  /** Gives up what is under way and ends the connection. */
  close(): void {
    this.current?.cancel();
    this.connection.drop();
  }
}

class Call implements ApiCall, Dispatcher.DispatchHandler {
  private readonly connection: ApiConnection;
  private readonly tokenHeader: TokenHeader;
  private readonly request: ApiRequest;
  private readonly handler: ApiHandler;
  private readonly clock: Clock;
  private readonly timer: Timer;
  private sentAt = 0;
  private done = false;
  private repeated = false;
  private token: string | undefined = undefined;
  private status = 0;
  private retryAfterMs = 0;
  private errorBytes = 0;
  private errorBody: Buffer[] = [];

  constructor(
    connection: ApiConnection,
    tokenHeader: TokenHeader,
    clock: Clock,
    request: ApiRequest,
    handler: ApiHandler,
  ) {
    this.connection = connection;
    this.tokenHeader = tokenHeader;
    this.request = request;
    this.handler = handler;
    this.clock = clock;
    this.timer = clock.timer(() => this.onTimeout());
  }

  begin(): void {
    this.limit();
    this.send(false).catch((error: unknown) => this.abort(reasonOf(error)));
  }

  cancel(): void {
    if (this.done) return;
    this.finish();
    this.connection.drop();
  }

  /** Only with `repeat`: whether there is another token by now; without one nothing is sent. */
  private async send(repeat: boolean): Promise<boolean> {
    const token = await this.connection.readToken(repeat);
    if (repeat && token === this.token) return false;
    const client = await this.connection.open();
    if (this.done) return true;
    this.token = token;
    this.status = 0;
    const headers: Record<string, string> = { accept: 'application/json', 'user-agent': 'dragoman' };
    if (token !== undefined) {
      const [name, value] = this.tokenHeader(token);
      headers[name] = value;
    }
    client.dispatch({ method: 'GET', path: this.request.path, headers }, this);
    return true;
  }

  onRequestStart(): void {}

  onResponseStart(_: unknown, status: number, headers: ApiHeaders): void {
    if (this.done || status < 200) return;
    this.status = status;
    this.timer.enable(Math.max(0, this.request.totalMs - (this.clock.now() - this.sentAt)));
    if (status === 200) this.handler.onHead?.(headers);
    else this.retryAfterMs = retryAfter(headers['retry-after']);
  }

  onResponseData(_: unknown, chunk: Buffer): void {
    if (this.done) return;
    if (this.status !== 200) {
      const room = MAX_ERROR_BYTES - this.errorBytes;
      if (room > 0) this.errorBody.push(chunk.subarray(0, room));
      this.errorBytes += chunk.length;
      if (this.errorBytes > MAX_SKIPPED_BYTES) this.abort(this.errorText());
      return;
    }
    const refusal = this.handler.onData(chunk);
    if (refusal !== undefined) this.abort(refusal, true);
  }

  onResponseEnd(): void {
    if (this.done) return;
    if (this.status === 200) {
      this.finish();
      this.handler.onEnd();
    } else if ((this.status === 401 || this.status === 403) && !this.repeated) {
      this.repeated = true;
      this.repeat();
    } else {
      this.fail(this.errorText(), this.status);
    }
  }

  onResponseError(_: unknown, error: Error): void {
    if (this.done) return;
    // The answer's status says nothing of a body that broke off.
    this.connection.drop();
    this.fail(reasonOf(error), 0);
  }

  /** The token was refused: perhaps the file has another one by now. */
  private repeat(): void {
    const refused = { text: this.errorText(), status: this.status };
    this.errorBody = [];
    this.errorBytes = 0;
    this.limit();
    this.send(true).then(
      (sent) => {
        if (!sent && !this.done) this.fail(refused.text, refused.status);
      },
      (error: unknown) => this.abort(`${refused.text}; ${reasonOf(error)}`),
    );
  }

  private onTimeout(): void {
    const { headMs, totalMs } = this.request;
    this.abort(
      this.status === 0 ? `no answer in ${headMs} ms` : `the answer was not complete in ${totalMs} ms`,
    );
  }

  private limit(): void {
    this.sentAt = this.clock.now();
    this.timer.enable(this.request.headMs);
  }

  /** Ends a request that is under way: with its connection, which is of no use after an answer that was not read. */
  private abort(reason: string, refused = false): void {
    if (this.done) return;
    const { status } = this;
    this.finish();
    this.connection.drop();
    const known = status !== 200 && !refused ? status : 0;
    this.handler.onFailure({ reason, status: known, retryAfterMs: this.retryAfterMs, refused });
  }

  private fail(reason: string, status: number): void {
    this.finish();
    this.handler.onFailure({ reason, status, retryAfterMs: this.retryAfterMs, refused: false });
  }

  private finish(): void {
    this.done = true;
    this.timer.disable();
  }

  private errorText(): string {
    const said = Buffer.concat(this.errorBody).toString('utf8');
    const text = printable(messageOf(said).trim(), MAX_ERROR_TEXT);
    return `answered ${this.status}${text === '' ? '' : `: ${text}`}`;
  }
}

/** Kubernetes answers with a Status, Consul with a text. */
function messageOf(body: string): string {
  try {
    const { message } = JSON.parse(body) as { message?: unknown };
    return typeof message === 'string' ? message : body;
  } catch {
    return body;
  }
}

/** Seconds; the form with a date is taken as none. */
function retryAfter(header: string | string[] | undefined): number {
  return typeof header === 'string' && /^\d{1,9}$/.test(header)
    ? Math.min(Number(header) * 1000, MAX_RETRY_AFTER_MS)
    : 0;
}

function reasonOf(error: unknown): string {
  const { message, code } = error as { message?: unknown; code?: unknown };
  const text = typeof message === 'string' && message !== '' ? message : String(error);
  return typeof code === 'string' && !text.includes(code) ? `${text} (${code})` : text;
}
