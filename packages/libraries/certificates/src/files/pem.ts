import { failed, type Result, succeeded } from '../result.ts';

export interface PemBlock {
  /** What stands after `BEGIN`: `CERTIFICATE`, `X509 CRL`, `PRIVATE KEY`, … */
  readonly label: string;
  readonly der: Buffer;
  /** True for blocks with RFC 1421 headers, which are those of encrypted keys in the old form. */
  readonly hasHeaders: boolean;
}

/** The largest file that is read: twenty times the usual bundle of public authorities. */
export const MAX_PEM_BYTES: number = 8 * 1024 * 1024;

const BOUNDARY = /^-----(BEGIN|END) ([A-Z0-9 ]{1,64})-----$/;
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

/**
 * All PEM blocks of a text. What stands between them is skipped, as other readers do (names, `openssl x509 -text`); a block that is
 * broken or not closed is an error, for a bundle that is half read would be a bundle of other authorities than were meant.
 */
export function readPem(text: string): Result<PemBlock[]> {
  if (text.length > MAX_PEM_BYTES)
    return failed(`${text.length} bytes of PEM are more than ${MAX_PEM_BYTES}`);
  const blocks: PemBlock[] = [];
  let open: { readonly label: string; readonly lines: string[] } | undefined;
  for (const raw of text.split('\n')) {
    const line = raw.trim();
    const boundary = line.startsWith('-----') ? BOUNDARY.exec(line) : null;
    if (open === undefined) {
      if (boundary?.[1] === 'BEGIN') open = { label: boundary[2] as string, lines: [] };
      else if (boundary !== null) return failed(`PEM block ${blocks.length + 1} ends before it begins`);
      continue;
    }
    if (boundary === null) {
      open.lines.push(line);
      continue;
    }
    if (boundary[1] !== 'END' || boundary[2] !== open.label)
      return failed(`PEM block ${blocks.length + 1} (${open.label}) is not closed`);
    const block = decode(open.label, open.lines);
    if (block === undefined) return failed(`PEM block ${blocks.length + 1} (${open.label}) is no base64`);
    blocks.push(block);
    open = undefined;
  }
  if (open !== undefined) return failed(`PEM block ${blocks.length + 1} (${open.label}) is not closed`);
  return succeeded(blocks);
}

function decode(label: string, lines: readonly string[]): PemBlock | undefined {
  const hasHeaders = lines.some((line) => line.includes(':'));
  const blank = lines.indexOf('');
  const body = (hasHeaders ? lines.slice(blank < 0 ? lines.length : blank + 1) : lines).join('');
  if (body.length % 4 !== 0 || body.length === 0 || !BASE64.test(body)) return undefined;
  return { label, der: Buffer.from(body, 'base64'), hasHeaders };
}

/** PEM as OpenSSL writes it: lines of 64 characters, each with a line feed. */
export function writePem(label: string, der: Buffer): string {
  const body = der.toString('base64').replace(/.{64}(?=.)/g, '$&\n');
  return `-----BEGIN ${label}-----\n${body}\n-----END ${label}-----\n`;
}
