import type { AdmissionControl_SuccessCriteria } from '@dragoman/api';
import { atPath, ConfigError } from '@dragoman/core';
import { GrpcStatus, MAX_KNOWN_GRPC_STATUS } from '@dragoman/grpc-frames';

const FIRST_STATUS = 100;
const STATUS_END = 600;
const FIRST_SERVER_ERROR = 500;

/** gRPC statuses which fewer requests would not change: Envoy's default. */
const DEFAULT_GRPC: readonly number[] = [
  GrpcStatus.OK,
  GrpcStatus.CANCELLED,
  GrpcStatus.UNKNOWN,
  GrpcStatus.INVALID_ARGUMENT,
  GrpcStatus.NOT_FOUND,
  GrpcStatus.ALREADY_EXISTS,
  GrpcStatus.PERMISSION_DENIED,
  GrpcStatus.FAILED_PRECONDITION,
  GrpcStatus.OUT_OF_RANGE,
  GrpcStatus.UNIMPLEMENTED,
  GrpcStatus.UNAUTHENTICATED,
];

/** Which answers are successes. */
export interface SuccessCriteria {
  /** Of an answer that is not gRPC's, by its HTTP status. */
  http(status: number): boolean;
  /** By its gRPC status; −1, a status that is none, is no success. */
  grpc(status: number): boolean;
}

/** @throws ConfigError with a path below `success_criteria` */
export function compileSuccessCriteria(config: AdmissionControl_SuccessCriteria): SuccessCriteria {
  const ranges = config.httpCriteria === undefined ? undefined : httpRanges(config.httpCriteria);
  const codes = new Set(config.grpcCriteria === undefined ? DEFAULT_GRPC : grpcCodes(config.grpcCriteria));
  return {
    http:
      ranges === undefined
        ? (status) => status < FIRST_SERVER_ERROR
        : (status) => ranges.some(({ start, end }) => start <= status && status < end),
    grpc: (status) => codes.has(status),
  };
}

type HttpCriteria = NonNullable<AdmissionControl_SuccessCriteria['httpCriteria']>;
type GrpcCriteria = NonNullable<AdmissionControl_SuccessCriteria['grpcCriteria']>;

function httpRanges({ httpSuccessStatus }: HttpCriteria): HttpCriteria['httpSuccessStatus'] {
  httpSuccessStatus.forEach(({ start, end }, index) => {
    const inside = start >= FIRST_STATUS && start < STATUS_END && end >= start && end <= STATUS_END;
    if (inside) return;
    throw ConfigError.at(
      `http_criteria.http_success_status[${index}]`,
      `[${start}, ${end}) is no range of HTTP statuses: start is 100 to 599, end is start to 600 and not part of it`,
    );
  });
  return atPath('http_criteria.http_success_status', () => notEmpty(httpSuccessStatus));
}

function grpcCodes({ grpcSuccessStatus }: GrpcCriteria): readonly number[] {
  grpcSuccessStatus.forEach((status, index) => {
    if (status <= MAX_KNOWN_GRPC_STATUS) return;
    throw ConfigError.at(
      `grpc_criteria.grpc_success_status[${index}]`,
      `${status} is no gRPC status: they are 0 to ${MAX_KNOWN_GRPC_STATUS}`,
    );
  });
  return atPath('grpc_criteria.grpc_success_status', () => notEmpty(grpcSuccessStatus));
}

function notEmpty<T extends readonly unknown[]>(list: T): T {
  if (list.length === 0)
    throw ConfigError.at('', 'names no success at all: list some, or leave the criteria out for the default');
  return list;
}
