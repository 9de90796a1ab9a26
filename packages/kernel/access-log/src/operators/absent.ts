import { absentOperator, type OperatorSpec, type OperatorTable, plain } from '../operator.ts';

/** Operators without parameters whose source this proxy does not have: they print `-`. */
const NAMES = [
  'DOWNSTREAM_DETECTED_CLOSE_TYPE',
  'DOWNSTREAM_DIRECT_LOCAL_ADDRESS_ENDPOINT_ID',
  'DOWNSTREAM_LOCAL_ADDRESS_ENDPOINT_ID',
  'DOWNSTREAM_LOCAL_CLOSE_REASON',
  'DOWNSTREAM_LOCAL_EMAIL_SAN',
  'DOWNSTREAM_LOCAL_IP_SAN',
  'DOWNSTREAM_LOCAL_OTHERNAME_SAN',
  'DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_1',
  'DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_256',
  'DOWNSTREAM_PEER_CHAIN_SERIALS',
  'DOWNSTREAM_PEER_EMAIL_SAN',
  'DOWNSTREAM_PEER_IP_SAN',
  'DOWNSTREAM_PEER_ISSUER_FINGERPRINT_256',
  'DOWNSTREAM_PEER_ISSUER_SERIAL',
  'DOWNSTREAM_PEER_OTHERNAME_SAN',
  'DOWNSTREAM_TLS_GROUP',
  'SPAN_ID',
  'TLS_JA3_FINGERPRINT',
  'TLS_JA4_FINGERPRINT',
  'TRACE_ID',
  'UPSTREAM_DETECTED_CLOSE_TYPE',
  'UPSTREAM_LOCAL_CLOSE_REASON',
  'UPSTREAM_LOCAL_IP_SAN',
  'UPSTREAM_PEER_IP_SAN',
  'UPSTREAM_REMOTE_ADDRESS_ENDPOINT_ID',
  'UPSTREAM_SERVER_NAME',
  'UPSTREAM_TLS_GROUP',
];

/** The same for operators that take a parameter. */
function withParameter(parameters: 'optional' | 'required', length: boolean): OperatorSpec {
  return { parameters, length, compile: () => absentOperator };
}

export const absentOperators: OperatorTable = {
  ...Object.fromEntries(NAMES.map((name) => [name, plain(absentOperator)])),
  UPSTREAM_FILTER_STATE: withParameter('required', true),
  DOWNSTREAM_PEER_CERT_V_START: withParameter('optional', false),
  DOWNSTREAM_PEER_CERT_V_END: withParameter('optional', false),
  UPSTREAM_PEER_CERT_V_START: withParameter('optional', false),
  UPSTREAM_PEER_CERT_V_END: withParameter('optional', false),
};
