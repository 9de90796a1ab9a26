import type { AdminRequest, AdminResponse, Query } from './request.ts';
import type { AdminState, Awaitable } from './state.ts';

/** A query parameter, for `/help` and the form on `/`. */
export interface EndpointParameter {
  readonly name: string;
  readonly help: string;
  /** Default `text`. A flag counts by being there. */
  readonly type?: 'text' | 'flag';
  /** Makes it a choice. */
  readonly choices?: readonly string[];
}

/** One path of the admin interface. */
export interface Endpoint {
  /** The whole path. */
  readonly path: string;
  readonly help: string;
  /** Only POST may. Default false. */
  readonly mutates?: boolean;
  /** Default 64 KiB. */
  readonly maxBodyBytes?: number;
  readonly parameters?: readonly EndpointParameter[];
  handle(state: AdminState, query: Query, request: AdminRequest): Awaitable<AdminResponse>;
}
