import { absentOperator, type OperatorTable, plain } from '../operator.ts';

/** Operators without parameters whose source this proxy does not have: they print `-`. */
const NAMES = [
  'DOWNSTREAM_DETECTED_CLOSE_TYPE',
  'DOWNSTREAM_DIRECT_LOCAL_ADDRESS_ENDPOINT_ID',
  'DOWNSTREAM_LOCAL_ADDRESS_ENDPOINT_ID',
  'DOWNSTREAM_LOCAL_CLOSE_REASON',
  'DOWNSTREAM_PEER_ISSUER_FINGERPRINT_256',
  'DOWNSTREAM_PEER_ISSUER_SERIAL',
  'SPAN_ID',
  'TRACE_ID',
  'UPSTREAM_DETECTED_CLOSE_TYPE',
  'UPSTREAM_LOCAL_CLOSE_REASON',
  'UPSTREAM_REMOTE_ADDRESS_ENDPOINT_ID',
];

export const absentOperators: OperatorTable = Object.fromEntries(
  NAMES.map((name) => [name, plain(absentOperator)]),
);
