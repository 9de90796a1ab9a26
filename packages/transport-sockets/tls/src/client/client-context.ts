import { constants } from 'node:crypto';
import { createSecureContext, type SecureContext } from 'node:tls';
import { CertificateValidator, type PeerValidator } from '@dragoman/certificates';
import { atPath } from '@dragoman/core';
import type { OwnCertificate } from '../certificates/own-certificate.ts';
import type { Material } from '../common-context.ts';
import { paramOptions, type TlsParams } from '../params/tls-params.ts';
import { SessionCache } from './session-cache.ts';

/** Of UpstreamTlsContext, what contexts are made with. */
export interface ClientSettings {
  readonly params: TlsParams;
  readonly maxSessionKeys: number;
}

/** Verifies names that a stream asks for, where the config verifies nothing. */
const NO_RULES = new CertificateValidator({});

/** Certificates, keys and rules of a cluster, as they are at one time. A connection keeps the one it began with. */
export class ClientContext {
  readonly secureContext: SecureContext;
  readonly own: OwnCertificate | undefined;
  readonly validator: PeerValidator;
  readonly sessions: SessionCache;
  readonly material: Material;

  /** @throws ConfigError with paths below the UpstreamTlsContext */
  constructor({ params, maxSessionKeys }: ClientSettings, material: Material) {
    const [own] = material.certificates;
    this.material = material;
    this.own = own;
    this.validator = material.validation?.validator ?? NO_RULES;
    this.sessions = new SessionCache(maxSessionKeys);
    const options = paramOptions(params, own?.extraAlgorithms ?? []);
    const noTickets = maxSessionKeys > 0 ? 0 : constants.SSL_OP_NO_TICKET;
    this.secureContext = atPath(own?.configPath ?? 'common_tls_context', () =>
      createSecureContext({
        ...options,
        secureOptions: options.secureOptions | noTickets,
        // None: what the server sends is verified here, once, and not by OpenSSL too.
        ca: [],
        ...(own === undefined ? {} : { cert: own.chainPem, key: own.keyPem }),
      }),
    );
  }
}
