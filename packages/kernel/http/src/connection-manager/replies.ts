import type { CodecError, LocalReply } from '@dragoman/core';
import { CONNECTION_HEADER_REJECTED } from '../headers/index.ts';
import { PATH_NORMALIZATION_FAILED } from '../path/index.ts';

/** Envoy's texts and details of the replies that the connection manager itself makes. */
export const REPLY = {
  missingHost: { status: 400, details: 'missing_host_header' },
  badConnection: { status: 400, body: 'Bad Request', details: CONNECTION_HEADER_REJECTED },
  missingPath: { status: 404, details: 'missing_path_rejected' },
  absolutePath: { status: 404, details: 'absolute_path_rejected' },
  pathNormalization: { status: 400, details: PATH_NORMALIZATION_FAILED },
  upgradeFailed: { status: 403, details: 'upgrade_failed' },
  requestTimeout: { status: 408, body: 'request timeout', details: 'request_overall_timeout' },
  filterFailed: { status: 500, details: 'filter_chain_error' },
  requestTooLarge: { status: 413, body: 'Payload Too Large', details: 'request_payload_too_large' },
  responseTooLarge: { status: 500, body: 'Internal Server Error', details: 'response_payload_too_large' },
} as const satisfies Record<string, LocalReply>;

/** Envoy's bodies for replies to bytes that are no valid request. */
export const STATUS_BODIES: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  413: 'Payload Too Large',
  426: 'Upgrade Required',
  431: 'Request Header Fields Too Large',
  501: 'Not Implemented',
  505: 'HTTP Version Not Supported',
};

/**
 * What is well-formed HTTP and refused all the same. The codec finds it, but to Envoy it is no protocol error: no flag, no
 * body.
 */
export function isRefusal({ details }: CodecError): boolean {
  return (
    details === 'missing_host_header' || details === 'low_version' || details === 'absolute_path_rejected'
  );
}
