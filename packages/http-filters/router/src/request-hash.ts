import type {
  HashPolicy,
  HashValue,
  RequestHeaders,
  ResponseHeaders,
  SetCookieSink,
  StreamInfo,
} from '@dragoman/core';

/** The hash of one request, and the cookies that its policy makes for a client which has none. */
export class RequestHash implements SetCookieSink {
  private readonly policy: HashPolicy;
  private known = false;
  private value: HashValue | undefined = undefined;
  private readonly cookies: string[] = [];

  constructor(policy: HashPolicy) {
    this.policy = policy;
  }

  /** Worked out when a balancer that picks by it first asks; the same for all tries. */
  get(headers: RequestHeaders, info: StreamInfo): HashValue | undefined {
    if (!this.known) {
      this.known = true;
      this.value = this.policy.hash(headers, info, this);
    }
    return this.value;
  }

  addSetCookie(value: string): void {
    this.cookies.push(value);
  }

  /** Gives the client the cookies that were made. */
  setCookies(headers: ResponseHeaders): void {
    for (const cookie of this.cookies) headers.append('set-cookie', cookie);
  }
}
