import { ConfigError, type LogContext } from '@dragoman/core';
import { grpcStatusFromHttp } from '@dragoman/grpc-frames';
import { bytesOperator, numberOperator, type OperatorSpec, type OperatorTable, plain } from '../operator.ts';

/** gRPC's status codes by number, as Envoy spells them, and as their constants are spelt. */
const STATUSES: readonly (readonly [camel: string, snake: string])[] = [
  ['OK', 'OK'],
  ['Canceled', 'CANCELLED'],
  ['Unknown', 'UNKNOWN'],
  ['InvalidArgument', 'INVALID_ARGUMENT'],
  ['DeadlineExceeded', 'DEADLINE_EXCEEDED'],
  ['NotFound', 'NOT_FOUND'],
  ['AlreadyExists', 'ALREADY_EXISTS'],
  ['PermissionDenied', 'PERMISSION_DENIED'],
  ['ResourceExhausted', 'RESOURCE_EXHAUSTED'],
  ['FailedPrecondition', 'FAILED_PRECONDITION'],
  ['Aborted', 'ABORTED'],
  ['OutOfRange', 'OUT_OF_RANGE'],
  ['Unimplemented', 'UNIMPLEMENTED'],
  ['Internal', 'INTERNAL'],
  ['Unavailable', 'UNAVAILABLE'],
  ['DataLoss', 'DATA_LOSS'],
  ['Unauthenticated', 'UNAUTHENTICATED'],
];

/** What a `grpc-status` that is no number counts as. */
const INVALID_STATUS = -1;

/** The gRPC status of a stream: of its trailers, its headers, or mapped from its HTTP status; undefined without any. */
export function grpcStatus(context: LogContext): number | undefined {
  const text = context.responseTrailers?.get('grpc-status') ?? context.response?.get('grpc-status');
  if (text !== undefined) return /^[0-9]{1,10}$/.test(text) ? Number(text) : INVALID_STATUS;
  const code = context.info.responseCode;
  return code === 0 ? undefined : grpcStatusFromHttp(code);
}

const CONTENT_TYPE = 'application/grpc';

function isGrpcRequest(context: LogContext): boolean {
  const type = context.request?.get('content-type');
  if (type === undefined || !type.startsWith(CONTENT_TYPE)) return false;
  return type.length === CONTENT_TYPE.length || type[CONTENT_TYPE.length] === '+';
}

function statusOfGrpc(context: LogContext): number | undefined {
  return isGrpcRequest(context) ? grpcStatus(context) : undefined;
}

const numeric = numberOperator(statusOfGrpc);

const status: OperatorSpec = {
  parameters: 'optional',
  length: false,
  compile(parameter) {
    switch (parameter) {
      case 'NUMBER':
        return numeric;
      case '':
      case 'CAMEL_STRING':
      case 'SNAKE_STRING': {
        const column = parameter === 'SNAKE_STRING' ? 1 : 0;
        return bytesOperator((context) => {
          const code = statusOfGrpc(context);
          return code === undefined ? undefined : (STATUSES[code]?.[column] ?? String(code));
        });
      }
      default:
        throw ConfigError.at('', `"${parameter}" is not CAMEL_STRING, SNAKE_STRING or NUMBER`);
    }
  },
};

/** Operators about gRPC; they have a value for gRPC requests only. */
export const grpcOperators: OperatorTable = {
  GRPC_STATUS: status,
  GRPC_STATUS_NUMBER: plain(numeric),
};
