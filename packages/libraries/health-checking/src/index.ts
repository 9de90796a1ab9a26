export { ByteCheckSession, type ByteExchange, type ByteVerdict } from './byte-session.ts';
export { HttpCheckSession, type HttpExchange } from './http-session.ts';
export { decodePayload, PayloadScan } from './payload.ts';
export { CheckRequest, type CheckRequestParts, checkedAuthority, USER_AGENT } from './request.ts';
export { DEGRADED, HEALTHY, unhealthy, unreachable } from './results.ts';
