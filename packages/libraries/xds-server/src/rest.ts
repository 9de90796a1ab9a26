import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import {
  type DiscoveryRequest,
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
  fromJson,
  registry,
  toJson,
} from '@dragoman/api';
import type { Peer } from './callbacks.ts';
import { asXdsError, type StatusName, XdsError } from './errors.ts';
import { KINDS } from './kinds.ts';
import type { XdsProtocol } from './protocol.ts';

const TYPES: ReadonlyMap<string, string> = new Map(
  Object.values(KINDS).flatMap(({ restPath, typeUrl }) =>
    restPath === undefined ? [] : [[restPath, typeUrl] as const],
  ),
);

const HTTP_STATUS: Readonly<Record<StatusName, number>> = {
  INVALID_ARGUMENT: 400,
  UNAUTHENTICATED: 401,
  PERMISSION_DENIED: 403,
  NOT_FOUND: 404,
  FAILED_PRECONDITION: 412,
  RESOURCE_EXHAUSTED: 429,
  INTERNAL: 500,
  UNIMPLEMENTED: 501,
  UNAVAILABLE: 503,
};

/**
 * Answers polls in REST-JSON: `POST /v3/discovery:clusters` and its kin, 304 when the client has the newest version.
 * A handler for `node:http` and `node:https`.
 */
export function restHandler(protocol: XdsProtocol): RequestListener {
  return (request, response) => {
    serve(request, response, protocol).catch((error: unknown) => {
      const { status, message } = asXdsError(error);
      reply(response, HTTP_STATUS[status], 'text/plain; charset=utf-8', `${message}\n`);
    });
  };
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  protocol: XdsProtocol,
): Promise<void> {
  const path = (request.url ?? '').split('?', 1)[0];
  const typeUrl = TYPES.get(path);
  if (typeUrl === undefined)
    throw new XdsError('NOT_FOUND', `no such path; one of ${[...TYPES.keys()].join(', ')}`);
  if (request.method !== 'POST') {
    response.setHeader('allow', 'POST');
    reply(response, 405, 'text/plain; charset=utf-8', 'discovery requests are posted\n');
    return;
  }
  const body = await bodyOf(request, protocol.limits.requestBytes);
  if (body === undefined) {
    response.setHeader('connection', 'close'); // the rest of the body is not read
    reply(
      response,
      413,
      'text/plain; charset=utf-8',
      `a request has at most ${protocol.limits.requestBytes} bytes\n`,
    );
    return;
  }
  const asked = parse(body);
  const answer = await protocol.fetch(asked, typeUrl, peerOf(request));
  if (asked.versionInfo !== '' && asked.versionInfo === answer.versionInfo) {
    reply(response, 304, undefined, undefined);
    return;
  }
  const json = toJson(DiscoveryResponseSchema, answer, { registry, useProtoFieldName: true });
  reply(response, 200, 'application/json', JSON.stringify(json));
}

function parse(body: Buffer): DiscoveryRequest {
  try {
    // Newer clients have fields that are not known here.
    return fromJson(DiscoveryRequestSchema, JSON.parse(body.toString('utf8')), {
      registry,
      ignoreUnknownFields: true,
    });
  } catch (error) {
    throw new XdsError(
      'INVALID_ARGUMENT',
      `the body is no DiscoveryRequest in JSON: ${(error as Error).message.slice(0, MESSAGE_LENGTH)}`,
    );
  }
}

/** An error can quote what it did not like, however long that is. */
const MESSAGE_LENGTH = 300;

/** Undefined beyond the limit. */
function bodyOf(request: IncomingMessage, limit: number): Promise<Buffer | undefined> {
  const parts: Buffer[] = [];
  let bytes = 0;
  return new Promise((resolve, reject) => {
    request.on('data', (part: Buffer) => {
      bytes += part.length;
      if (bytes > limit) {
        request.pause();
        resolve(undefined);
      } else {
        parts.push(part);
      }
    });
    request.on('end', () => resolve(Buffer.concat(parts)));
    request.on('error', reject);
    request.on('close', () => reject(new XdsError('INVALID_ARGUMENT', 'the request ended too soon')));
  });
}

function reply(
  response: ServerResponse,
  code: number,
  type: string | undefined,
  body: string | undefined,
): void {
  if (response.headersSent || response.destroyed) return;
  if (type !== undefined) response.setHeader('content-type', type);
  response.writeHead(code);
  response.end(body);
}

function peerOf({ socket, headers }: IncomingMessage): Peer {
  const tls = socket as { getPeerX509Certificate?: () => { raw: Buffer } | undefined; authorized?: boolean };
  const certificate = tls.authorized === true ? tls.getPeerX509Certificate?.()?.raw : undefined;
  return {
    address: `${socket.remoteAddress ?? ''}:${socket.remotePort ?? ''}`,
    header(name) {
      const value = headers[name.toLowerCase()];
      return Array.isArray(value) ? value[0] : value;
    },
    ...(certificate === undefined ? {} : { certificate }),
  };
}
