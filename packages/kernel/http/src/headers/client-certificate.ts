import { type RequestHeaders, type StreamInfo, type TlsInfo, wellKnownId } from '@dragoman/core';

/**
 * `forward_client_cert_details`. `sanitize` takes x-forwarded-client-cert away; `forward-only` leaves it to connections that showed a
 * client certificate, `append-forward` adds an element about that certificate, and `sanitize-set` puts such an element in its place:
 * all three take it away from other connections. `always-forward-only` leaves it to all.
 */
export type ForwardClientCert =
  | 'sanitize'
  | 'forward-only'
  | 'append-forward'
  | 'sanitize-set'
  | 'always-forward-only';

/** `set_current_client_cert_details`: what an element says besides `By` and `Hash`. */
export interface ClientCertDetails {
  readonly cert: boolean;
  readonly chain: boolean;
  readonly subject: boolean;
  readonly uri: boolean;
  readonly dns: boolean;
  readonly issuer: boolean;
}

/** What becomes of the header. */
export class ClientCertPolicy {
  readonly forward: ForwardClientCert;
  private readonly details: ClientCertDetails;
  /** The same for all requests of a connection: certificates are long. */
  private readonly elements = new WeakMap<TlsInfo, string>();

  constructor(forward: ForwardClientCert, details: ClientCertDetails = NO_DETAILS) {
    this.forward = forward;
    this.details = details;
  }

  apply(headers: RequestHeaders, { connection }: StreamInfo): void {
    const { forward } = this;
    if (forward === 'always-forward-only') return;
    const { tls } = connection;
    if (forward === 'sanitize' || tls === undefined || !tls.peerFingerprint256) {
      headers.removeKnown(ID_XFCC);
      return;
    }
    if (forward === 'forward-only') return;
    const before = forward === 'append-forward' ? headers.getJoined(NAME) : undefined;
    const element = this.elementFor(tls);
    headers.setKnown(ID_XFCC, before === undefined || before === '' ? element : `${before},${element}`);
  }

  private elementFor(tls: TlsInfo): string {
    const known = this.elements.get(tls);
    if (known !== undefined) return known;
    const element = clientCertElement(tls, this.details);
    this.elements.set(tls, element);
    return element;
  }
}

/** Chooses by request; undefined: what holds for all. */
export type ChooseClientCertPolicy = (
  headers: RequestHeaders,
  info: StreamInfo,
) => ClientCertPolicy | undefined;

const NAME = 'x-forwarded-client-cert';
const ID_XFCC = wellKnownId(NAME);

const NO_DETAILS: ClientCertDetails = {
  cert: false,
  chain: false,
  subject: false,
  uri: false,
  dns: false,
  issuer: false,
};

/** One element of the header, in Envoy's order. */
export function clientCertElement(tls: TlsInfo, details: ClientCertDetails): string {
  const pairs = (tls.localUriSans ?? []).map((uri) => `By=${bare(uri)}`);
  if (tls.peerFingerprint256) pairs.push(`Hash=${tls.peerFingerprint256}`);
  if (details.cert && tls.peerCertificatePem)
    pairs.push(`Cert="${encodeURIComponent(tls.peerCertificatePem)}"`);
  if (details.chain && tls.peerChainPem) pairs.push(`Chain="${encodeURIComponent(tls.peerChainPem)}"`);
  // These two keys are there without a value too.
  if (details.subject) pairs.push(`Subject="${closed(tls.peerSubject ?? '')}"`);
  if (details.uri) {
    const uris = tls.peerUriSans ?? [];
    if (uris.length === 0) pairs.push('URI=');
    for (const uri of uris) pairs.push(`URI=${bare(uri)}`);
  }
  if (details.dns) for (const name of tls.peerDnsSans ?? []) pairs.push(`DNS=${bare(name)}`);
  if (details.issuer) pairs.push(`Issuer="${closed(tls.peerIssuer ?? '')}"`);
  return pairs.join(';');
}

/**
 * A value without quotes, as Envoy writes it. Where that could be read as something else (a client chooses the names in its
 * certificate, and one of them may contain `;URI=spiffe://admin`), it has the quotes which the format knows for that.
 */
function bare(value: string): string {
  const text = ascii(value);
  return /[,;"]/.test(text) ? `"${text.replace(/["\\]/g, '\\$&')}"` : text;
}

/** For between quotes: a name in the form of RFC 2253, which has its own escapes, cannot end them. */
function closed(name: string): string {
  return ascii(name).replace(/\\[\s\S]|["\\]/g, (part) => (part.length === 1 ? `\\${part}` : part));
}

/** What may not stand in a header, and what is not ASCII, as UTF-8 with percent signs. */
function ascii(text: string): string {
  return /^[\x20-\x7e]*$/.test(text) ? text : text.replace(/[^\x20-\x7e]+/g, percentEncoded);
}

function percentEncoded(text: string): string {
  return Buffer.from(text, 'utf8').toString('hex').toUpperCase().replace(/../g, '%$&');
}
