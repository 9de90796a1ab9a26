import { constants } from 'node:crypto';
import type { SecureContextOptions, SecureVersion } from 'node:tls';
import {
  type TlsParameters,
  TlsParameters_TlsProtocol as Protocol,
  TlsParametersSchema,
} from '@dragoman/api';
import { atPath, ConfigError, refuseUnsupported } from '@dragoman/core';
import { type CipherList, DEFAULT_CIPHERS, readCipherSuites } from './cipher-suites.ts';
import { DEFAULT_GROUPS, type Group, groupNamed } from './groups.ts';
import { DEFAULT_ALGORITHMS, isSignatureAlgorithm } from './signature-algorithms.ts';

/** `tls_params`, compiled. */
export interface TlsParams {
  readonly minVersion: SecureVersion;
  readonly maxVersion: SecureVersion;
  readonly ciphers: CipherList;
  /** In the order of preference. */
  readonly groups: readonly Group[];
  /** As the config lists them; undefined for the default. */
  readonly signatureAlgorithms: readonly string[] | undefined;
}

const SUPPORTED = new Set([
  'tls_minimum_protocol_version',
  'tls_maximum_protocol_version',
  'cipher_suites',
  'ecdh_curves',
  'signature_algorithms',
]);

const VERSIONS: Readonly<Record<number, SecureVersion>> = {
  [Protocol.TLSv1_0]: 'TLSv1',
  [Protocol.TLSv1_1]: 'TLSv1.1',
  [Protocol.TLSv1_2]: 'TLSv1.2',
  [Protocol.TLSv1_3]: 'TLSv1.3',
};
const RANK: readonly SecureVersion[] = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'];

/**
 * @param side decides the highest version where none is given: TLS 1.3 for servers and 1.2 for clients, as in Envoy
 * @throws ConfigError with paths below `tls_params`
 */
export function readTlsParams(config: TlsParameters | undefined, side: 'server' | 'client'): TlsParams {
  if (config !== undefined) refuseUnsupported(config, TlsParametersSchema, SUPPORTED);
  const minVersion = VERSIONS[config?.tlsMinimumProtocolVersion ?? 0] ?? 'TLSv1.2';
  const maxVersion =
    VERSIONS[config?.tlsMaximumProtocolVersion ?? 0] ?? (side === 'server' ? 'TLSv1.3' : 'TLSv1.2');
  if (RANK.indexOf(minVersion) > RANK.indexOf(maxVersion))
    throw ConfigError.at(
      'tls_maximum_protocol_version',
      `${maxVersion} is below the minimum, ${minVersion}: no version is left`,
    );
  const { cipherSuites = [], ecdhCurves = [], signatureAlgorithms = [] } = config ?? {};
  return {
    minVersion,
    maxVersion,
    ciphers: atPath('cipher_suites', () =>
      readCipherSuites(cipherSuites.length === 0 ? DEFAULT_CIPHERS : cipherSuites),
    ),
    groups: readGroups(ecdhCurves.length === 0 ? DEFAULT_GROUPS : ecdhCurves),
    signatureAlgorithms: readAlgorithms(signatureAlgorithms),
  };
}

function readGroups(names: readonly string[]): Group[] {
  return names
    .flatMap((name) => name.split(':'))
    .map((name, i) => {
      const group = groupNamed(name);
      if (group === undefined)
        throw ConfigError.at(
          `ecdh_curves[${i}]`,
          `Failed to initialize ECDH curves: this TLS stack does not have "${name}"`,
        );
      return group;
    });
}

function readAlgorithms(names: readonly string[]): readonly string[] | undefined {
  if (names.length === 0) return undefined;
  const wrong = names.findIndex((name) => !isSignatureAlgorithm(name));
  if (wrong >= 0)
    throw ConfigError.at(
      `signature_algorithms[${wrong}]`,
      `Failed to initialize TLS signature algorithms: this TLS stack does not have "${names[wrong]}"`,
    );
  return names;
}

/** BoringSSL's, in the order of its clients. Nothing configures them. */
const TLS13_SUITES = 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256';

/** Besides: BoringSSL never renegotiates unless it is told to. */
const ALWAYS = constants.SSL_OP_NO_RENEGOTIATION;

/**
 * What `tls.createSecureContext` is to get of the parameters.
 * @param extraAlgorithms of the own certificate's key, where the default list lacks them
 */
export function paramOptions(
  { minVersion, maxVersion, ciphers, groups, signatureAlgorithms }: TlsParams,
  extraAlgorithms: readonly string[],
): SecureContextOptions & { readonly secureOptions: number } {
  const suites = ciphers.suites.map(({ name }) => name).join(':');
  // What is below TLS 1.2 signs with MD5 and SHA-1, which OpenSSL refuses above its level 0.
  const old = minVersion === 'TLSv1' || minVersion === 'TLSv1.1';
  return {
    minVersion,
    maxVersion,
    ciphers: `${TLS13_SUITES}:${suites}${old ? ':@SECLEVEL=0' : ''}`,
    ecdhCurve: groups.map(({ openssl }) => openssl).join(':'),
    sigalgs: (signatureAlgorithms ?? [...DEFAULT_ALGORITHMS, ...extraAlgorithms]).join(':'),
    secureOptions: ALWAYS | (ciphers.chachaEqual ? constants.SSL_OP_PRIORITIZE_CHACHA : 0),
  };
}
