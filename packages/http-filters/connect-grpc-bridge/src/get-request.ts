/** A unary call in a query, as Connect sends those that have no side effects. */
export interface GetRequest {
  /** Of the message: `json`, `proto`. */
  readonly codec: string;
  /** `identity` when nothing else is said. */
  readonly compression: string;
  readonly message: Buffer;
}

/** RFC 9110, section 5.6.2: what goes into headers may be nothing else. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const BASE64URL = /^[-_0-9A-Za-z]*={0,2}$/;

/**
 * Reads the query of a path.
 * @returns undefined: not `connect=v1`; `'invalid'`: a codec or compression that is no word
 */
export function readGetRequest(path: string): GetRequest | 'invalid' | undefined {
  const start = path.indexOf('?');
  if (start < 0) return undefined;
  const parameters = readQuery(path.slice(start + 1));
  if (parameters.get('connect') !== 'v1') return undefined;
  const text = parameters.get('message') ?? '';
  const codec = parameters.get('encoding') ?? '';
  const named = parameters.get('compression') ?? '';
  const compression = named === '' ? 'identity' : named;
  if ((codec !== '' && !TOKEN.test(codec)) || !TOKEN.test(compression)) return 'invalid';
  const message = parameters.get('base64') === '1' ? decodeBase64Url(text) : Buffer.from(text, 'latin1');
  return { codec, compression, message };
}

/** The first value of each name; names and values as strings of bytes. A parameter without `=` has the empty value. */
function readQuery(query: string): Map<string, string> {
  const parameters = new Map<string, string>();
  for (const parameter of query.split('&')) {
    const equals = parameter.indexOf('=');
    const name = percentDecode(equals < 0 ? parameter : parameter.slice(0, equals));
    if (!parameters.has(name))
      parameters.set(name, equals < 0 ? '' : percentDecode(parameter.slice(equals + 1)));
  }
  return parameters;
}

/** `%XX`; what is no escape stays, and so does `+`. */
function percentDecode(text: string): string {
  if (!text.includes('%')) return text;
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

/** Empty for what is none, as in Envoy. */
function decodeBase64Url(text: string): Buffer {
  const decoded = BASE64URL.test(text) ? Buffer.from(text, 'base64url') : Buffer.alloc(0);
  return decoded.toString('base64url') === text.replace(/=+$/, '') ? decoded : Buffer.alloc(0);
}
