import type { HttpExplanation, Passed } from '@dragoman/http';

/** A request to explain. */
export interface ExplainedRequest {
  /** `GET https://host:8443/path?query`; the method may be left out. */
  readonly request: string;
  readonly headers?: readonly (readonly [name: string, value: string])[];
  /** The client's address, with or without a port. Default 127.0.0.1. */
  readonly from?: string;
  /** SNI. Default: the host of an `https` URL. */
  readonly serverName?: string;
  /** The listener, by name. Default: the one at the URL's port, or the only one. */
  readonly listener?: string;
  /** Draws weighted clusters and runtime fractions. 0 ≤ random < 2⁵³, default 0. */
  readonly random?: number;
}

/** Where a request goes, and why. */
export interface Explanation {
  readonly request: {
    readonly method: string;
    readonly scheme: string;
    readonly authority: string;
    readonly path: string;
    readonly from: string;
    readonly serverName: string;
  };
  readonly listener: { readonly name: string; readonly path: string; readonly address: string } | undefined;
  readonly listenersPassed: readonly Passed[];
  readonly filterChain: { readonly name: string; readonly path: string } | undefined;
  readonly filterChainsPassed: readonly Passed[];
  /** Undefined when the chain has no HTTP connection manager, or there is no chain. */
  readonly http: HttpExplanation | undefined;
  /** What to keep in mind when reading the rest. */
  readonly notes: readonly string[];
  /** All of it in one sentence. */
  readonly verdict: string;
}
