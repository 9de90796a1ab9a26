import {
  type CommonTlsContext,
  DownstreamTlsContextSchema,
  readLoose,
  UpstreamTlsContextSchema,
} from '@dragoman/api';
import type { Json, TestCertificate } from '@dragoman/testing';

export type Config = { readonly [field: string]: Json };
export type { CommonTlsContext };

/** A `TlsCertificate` with everything inline. */
export function inline(certificate: TestCertificate): Config {
  return {
    certificate_chain: { inline_string: certificate.chainPem },
    private_key: { inline_string: certificate.keyPem },
  };
}

/** Reads as a config file would be read, field names of the proto and all. */
export const downstreamConfig = (fields: Config) => readLoose(DownstreamTlsContextSchema, fields);
export const upstreamConfig = (fields: Config) => readLoose(UpstreamTlsContextSchema, fields);
