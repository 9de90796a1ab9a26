import { failed, type Result, succeeded } from './result.ts';

/** One element of `x-forwarded-client-cert`: what one proxy said of its client. Absent parts are not written. */
export interface XfccElement {
  /** URIs of the proxy's own certificate. */
  readonly by?: readonly string[] | undefined;
  /** SHA-256 of the client's certificate, in lower-case hex. */
  readonly hash?: string | undefined;
  /** PEM of the client's certificate. */
  readonly cert?: string | undefined;
  /** PEM of all that the client sent, its own certificate first. */
  readonly chain?: string | undefined;
  /** RFC 2253, as `CertificateDetails` has it. */
  readonly subject?: string | undefined;
  /** Written even when there is none: `URI=`. */
  readonly uri?: readonly string[] | undefined;
  readonly dns?: readonly string[] | undefined;
}

/**
 * Writes an element as Envoy does: `By=spiffe://a/b;Hash=468e…;Subject="CN=c";URI=spiffe://a/c;DNS=c.example`. Where Envoy writes URIs
 * and names as they are, those with a character that would end the value are quoted here, and what no header may hold is percent-encoded:
 * a name in a certificate must not become another key.
 */
export function formatXfcc(element: XfccElement): string {
  const { by = [], hash, cert, chain, subject, uri, dns = [] } = element;
  const pairs = by.map((one) => `By=${bare(one)}`);
  if (hash !== undefined) pairs.push(`Hash=${hash}`);
  if (cert !== undefined) pairs.push(`Cert="${encodePem(cert)}"`);
  if (chain !== undefined) pairs.push(`Chain="${encodePem(chain)}"`);
  if (subject !== undefined) pairs.push(`Subject="${printable(subject)}"`);
  if (uri?.length === 0) pairs.push('URI=');
  for (const one of uri ?? []) pairs.push(`URI=${bare(one)}`);
  for (const one of dns) pairs.push(`DNS=${bare(one)}`);
  return pairs.join(';');
}

/** PEM in a header, as Envoy encodes it. */
function encodePem(pem: string): string {
  return pem.replace(/[\n +/=]/g, (character) => encodeURIComponent(character));
}

function bare(value: string): string {
  const text = printable(value);
  return /[,;"\\]/.test(text) ? `"${text.replace(/["\\]/g, '\\$&')}"` : text;
}

function printable(value: string): string {
  return value.replace(/[^\x20-\x7e]+/g, (run) =>
    Buffer.from(run, 'utf8').toString('hex').toUpperCase().replace(/../g, '%$&'),
  );
}

/** Keys that an element may repeat. */
const LISTS = { by: true, uri: true, dns: true } as const;
const SINGLE = { hash: true, cert: true, chain: true, subject: true } as const;

/**
 * Reads the value of a header into its elements, the client's first. Keys count in any case; unknown ones are skipped. Takes time in
 * proportion to the length. PEM is decoded again.
 */
export function parseXfcc(value: string): Result<XfccElement[]> {
  const elements = split(value, ',');
  if (elements === undefined) return failed('a quote is not closed');
  return succeeded(elements.map(parseElement));
}

function parseElement(element: string): XfccElement {
  const lists: Record<string, string[]> = {};
  const single: Record<string, string> = {};
  for (const pair of split(element, ';') ?? []) {
    const equals = pair.indexOf('=');
    if (equals < 0) continue;
    const key = pair.slice(0, equals).trim().toLowerCase();
    const value = unquote(pair.slice(equals + 1).trim());
    if (Object.hasOwn(LISTS, key)) (lists[key] ??= []).push(...(value === '' ? [] : [value]));
    else if (Object.hasOwn(SINGLE, key)) single[key] ??= isPem(key) ? decodePem(value) : value;
  }
  return { ...lists, ...single };
}

function isPem(key: string): boolean {
  return key === 'cert' || key === 'chain';
}

function decodePem(value: string): string {
  return value.replace(/%(0A|20|2B|2F|3D)/gi, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

function unquote(value: string): string {
  const quoted = value.length >= 2 && value.startsWith('"') && value.endsWith('"');
  return quoted ? value.slice(1, -1).replace(/\\(["\\])/g, '$1') : value;
}

/** Splits outside of quotes; undefined when one is not closed. */
function split(text: string, separator: string): string[] | undefined {
  const parts: string[] = [];
  let start = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const character = text[i];
    if (quoted && character === '\\') i++;
    else if (character === '"') quoted = !quoted;
    else if (character === separator && !quoted) {
      parts.push(text.slice(start, i));
      start = i + 1;
    }
  }
  if (quoted) return undefined;
  parts.push(text.slice(start));
  return parts;
}
