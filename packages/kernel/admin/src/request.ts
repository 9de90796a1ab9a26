/** A request to the admin interface. */
export interface AdminRequest {
  readonly method: string;
  /** Path and query as they came. */
  readonly path: string;
  readonly body?: string;
  readonly contentType?: string;
}

export interface AdminResponse {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** To be called once, when the response was sent or could not be. */
  readonly afterwards?: () => void;
}

const TEXT = 'text/plain; charset=UTF-8';

function response(status: number, contentType: string, body: string, afterwards?: () => void): AdminResponse {
  return {
    status,
    // Envoy's headers: pages are not kept, and no browser may guess at types: names in answers come from outside.
    headers: {
      'content-type': contentType,
      'cache-control': 'no-cache, max-age=0',
      'x-content-type-options': 'nosniff',
    },
    body,
    ...(afterwards === undefined ? {} : { afterwards }),
  };
}

export function text(body: string, status = 200, afterwards?: () => void): AdminResponse {
  return response(status, TEXT, body, afterwards);
}

export function html(body: string): AdminResponse {
  return response(200, 'text/html; charset=UTF-8', body);
}

/** JSON that is already text. */
export function jsonText(body: string): AdminResponse {
  return response(200, 'application/json', body);
}

/** Pretty-printed with one space, as protobuf's JSON printer does. */
export function json(value: unknown): AdminResponse {
  return jsonText(`${JSON.stringify(value, null, 1)}\n`);
}

export function ok(afterwards?: () => void): AdminResponse {
  return text('OK\n', 200, afterwards);
}

/** The parameters of a query, in order; of a name that comes twice the first counts. */
export class Query {
  readonly #values = new Map<string, string>();

  /** `+` is a plus: filters are regular expressions, and Envoy does not read it as a space. */
  static ofPath(path: string): Query {
    const mark = path.indexOf('?');
    return new Query(mark < 0 ? '' : path.slice(mark + 1), (value) => value);
  }

  /** The body of an HTML form. */
  static ofForm(body: string): Query {
    return new Query(body, (value) => value.replaceAll('+', ' '));
  }

  private constructor(encoded: string, prepare: (value: string) => string) {
    const end = encoded.indexOf('#');
    for (const part of (end < 0 ? encoded : encoded.slice(0, end)).split('&')) {
      if (part === '') continue;
      const equals = part.indexOf('=');
      const name = decode(prepare(equals < 0 ? part : part.slice(0, equals)));
      if (!this.#values.has(name)) {
        this.#values.set(name, equals < 0 ? '' : decode(prepare(part.slice(equals + 1))));
      }
    }
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  /** Undefined when it is missing or empty. */
  get(name: string): string | undefined {
    return this.#values.get(name) || undefined;
  }

  get entries(): ReadonlyMap<string, string> {
    return this.#values;
  }
}

/** Percent-decodes; what is not valid stays as it is. */
function decode(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}
