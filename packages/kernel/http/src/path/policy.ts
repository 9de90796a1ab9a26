import type { RequestHeaders } from '@dragoman/core';
import { mergeSlashes, normalizePath, unescapeSlashes } from './normalize.ts';

/** What is done with `%2F` and `%5C` (Envoy: PathWithEscapedSlashesAction). */
export type EscapedSlashesAction = 'keep' | 'reject' | 'redirect' | 'forward';

export interface PathPolicy {
  /** `normalize_path`; Envoy's default without the runtime key `http_connection_manager.normalize_path` is false. */
  readonly normalize: boolean;
  /** `merge_slashes`; default false. */
  readonly mergeSlashes: boolean;
  /** `path_with_escaped_slashes_action`; default keep. */
  readonly escapedSlashes: EscapedSlashesAction;
  /** Asked for each path with a fragment: whether the fragment is cut off and the request served. Default: never. */
  readonly dropFragment?: () => boolean;
}

/**
 * - `continue`: go on, `headers.path` is final
 * - `reject`: 400 with the details `path_normalization_failed`
 * - `redirect`: 307 to the new `headers.path`, details `path_normalization_failed` for gRPC (400)
 */
export type PathVerdict = 'continue' | 'reject' | 'redirect';

/** Envoy's response code details of a refused path. */
export const PATH_NORMALIZATION_FAILED = 'path_normalization_failed';

/** The numbers of `HttpConnectionManager.PathWithEscapedSlashesAction`; the default is to keep. */
export function escapedSlashesAction(value: number): EscapedSlashesAction {
  switch (value) {
    case 2:
      return 'reject';
    case 3:
      return 'redirect';
    case 4:
      return 'forward';
    default:
      return 'keep';
  }
}

/**
 * Makes the path of each request what everything behind sees. A path with a fragment is refused, unless `dropFragment`
 * says otherwise: clients do not send one, and servers disagree on what it means.
 */
export function compilePathPolicy(policy: PathPolicy): (headers: RequestHeaders) => PathVerdict {
  const { normalize, escapedSlashes, dropFragment } = policy;
  const merge = policy.mergeSlashes;
  return (headers) => {
    let path = headers.path;
    if (path === '') return 'continue';
    let verdict: PathVerdict = 'continue';
    const fragment = path.indexOf('#');
    if (fragment >= 0) {
      if (fragment === 0 || dropFragment?.() !== true) return 'reject';
      path = path.slice(0, fragment);
    }
    if (escapedSlashes !== 'keep') {
      const unescaped = unescapeSlashes(path);
      if (unescaped !== path) {
        if (escapedSlashes === 'reject') return 'reject';
        if (escapedSlashes === 'redirect') verdict = 'redirect';
        path = unescaped;
      }
    }
    if (normalize) {
      const normalized = normalizePath(path);
      if (normalized === undefined) return 'reject';
      path = normalized;
    }
    // After normalisation, which may bring slashes together.
    if (merge) path = mergeSlashes(path);
    headers.path = path;
    return verdict;
  };
}
