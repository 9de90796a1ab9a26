import { serialText } from '../certificate/details.ts';
import type { Certificate } from '../certificate/certificate.ts';
import {
  context,
  contextConstructed,
  DerError,
  type DerReader,
  reading,
  Tag,
  wholeOf,
} from '../der/reader.ts';
import { checkInteger, readOid, readSmallInteger, readTime } from '../der/values.ts';
import { failed, type Result } from '../result.ts';

export type OcspStatus = 'good' | 'revoked' | 'unknown';

/** An OCSP response about one certificate, as far as stapling needs it. Times are wall time in ms. */
export interface OcspResponse {
  readonly der: Buffer;
  readonly status: OcspStatus;
  /** As `CertificateDetails` has it. */
  readonly serialNumber: string;
  readonly thisUpdate: number;
  /** Undefined when the responder has no time for the next; such a response counts as expired, as in Envoy. */
  readonly nextUpdate: number | undefined;
}

const MAX_OCSP_BYTES = 64 * 1024;

const BASIC_RESPONSE = '1.3.6.1.5.5.7.48.1.1';

const RESPONSE_STATUS: Readonly<Record<number, string>> = {
  1: 'malformed request',
  2: 'internal error',
  3: 'try later',
  5: 'signature required',
  6: 'unauthorized',
};

/**
 * Reads an OCSP response in DER. Those that are unsuccessful, or about several certificates, are refused. Signatures are not verified,
 * as in Envoy: the response comes from the operator, and clients verify it.
 */
export function readOcspResponse(der: Buffer): Result<OcspResponse> {
  if (der.length > MAX_OCSP_BYTES)
    return failed(`an OCSP response has ${der.length} bytes, more than ${MAX_OCSP_BYTES}`);
  return reading(() => readResponse(der));
}

function readResponse(der: Buffer): OcspResponse {
  const reader = wholeOf(der, Tag.sequence);
  const code = readSmallInteger(reader.expect(Tag.enumerated).body);
  if (code !== 0)
    throw new DerError(`OCSP response was unsuccessful: ${RESPONSE_STATUS[code] ?? `status ${code}`}`);
  const bytes = reader.enterOptional(contextConstructed(0))?.sequence();
  reader.end();
  if (bytes === undefined) throw new DerError('OCSP response has no body');
  const type = readOid(bytes.expect(Tag.oid).body);
  if (type !== BASIC_RESPONSE) throw new DerError(`Unknown OCSP Response type with OID: ${type}`);
  const basic = wholeOf(bytes.expect(Tag.octetString).body, Tag.sequence);
  bytes.end();
  return { der, ...readResponseData(basic.sequence()) };
}

function readResponseData(data: DerReader): Omit<OcspResponse, 'der'> {
  const version = data.enterOptional(contextConstructed(0));
  if (version !== undefined && readSmallInteger(version.expect(Tag.integer).body) !== 0)
    throw new DerError('OCSP ResponseData is of a version that is not supported');
  if (data.optional(contextConstructed(1)) === undefined) data.expect(contextConstructed(2));
  readTime(data.expect(Tag.generalizedTime));
  const responses = data.sequence();
  data.optional(contextConstructed(1));
  data.end();
  const single = readSingle(responses.sequence());
  if (!responses.done) throw new DerError('OCSP Response must be for one certificate only');
  return single;
}

function readSingle(single: DerReader): Omit<OcspResponse, 'der'> {
  const id = single.sequence();
  id.expect(Tag.sequence);
  id.expect(Tag.octetString);
  id.expect(Tag.octetString);
  const serialNumber = serialText(checkInteger(id.expect(Tag.integer).body));
  id.end();
  const status = statusOf(single.any().tag);
  const thisUpdate = readTime(single.expect(Tag.generalizedTime));
  const next = single.enterOptional(contextConstructed(0));
  const nextUpdate = next === undefined ? undefined : readTime(next.expect(Tag.generalizedTime));
  single.optional(contextConstructed(1));
  single.end();
  return { status, serialNumber, thisUpdate, nextUpdate };
}

function statusOf(tag: number): OcspStatus {
  if (tag === context(0)) return 'good';
  if (tag === contextConstructed(1)) return 'revoked';
  if (tag === context(2)) return 'unknown';
  throw new DerError(`0x${tag.toString(16)} is the tag of no OCSP status`);
}

/** Whether a response is about a certificate: by its serial, which is all that Envoy looks at. */
export function ocspFits(response: OcspResponse, certificate: Certificate): boolean {
  return response.serialNumber === serialText(certificate.serial);
}

/** @param nowMs wall time */
export function ocspExpired({ nextUpdate }: OcspResponse, nowMs: number): boolean {
  return nextUpdate === undefined || nextUpdate < nowMs;
}
