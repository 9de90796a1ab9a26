import { getCiphers } from 'node:tls';
import { CIPHER_TABLE, type CipherSuite, cipherNamed, selectorNamed } from './cipher-table.ts';

/** A list of cipher suites below TLS 1.3. */
export interface CipherList {
  /** Those that OpenSSL has too, in the order of preference. Suites with pre-shared keys are left out: nobody can configure a key. */
  readonly suites: readonly CipherSuite[];
  /** Some of them are equal in preference (`[A|B]`), and the client's order decides: AES and ChaCha20. */
  readonly chachaEqual: boolean;
}

/** Envoy's, of both sides. */
export const DEFAULT_CIPHERS: readonly string[] = [
  '[ECDHE-ECDSA-AES128-GCM-SHA256|ECDHE-ECDSA-CHACHA20-POLY1305]',
  '[ECDHE-RSA-AES128-GCM-SHA256|ECDHE-RSA-CHACHA20-POLY1305]',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
];

interface Element {
  readonly operator: '' | '!' | '-' | '+';
  readonly name: string;
}

/**
 * Reads a list in BoringSSL's language: names and aliases (`ECDHE+AESGCM`), `!`, `-`, `+`, `@STRENGTH`, `[A|B]`.
 * @param entries of `cipher_suites`; each may hold several, with colons between
 * @throws Error in Envoy's words, with what was not understood
 */
export function readCipherSuites(entries: readonly string[]): CipherList {
  const list = entries.join(':');
  const rules = new Rules();
  const rejected = rules.apply(list);
  if (rejected.length > 0)
    throw new Error(
      `Failed to initialize cipher suites ${list}. The following ciphers were rejected when tried individually: ${rejected.join(', ')}`,
    );
  const available = new Set(getCiphers());
  const missing = rules.named.filter((name) => !available.has(name.toLowerCase()));
  if (missing.length > 0)
    throw new Error(`this Node's OpenSSL does not have the cipher suites ${missing.join(', ')}; remove them`);
  const suites = rules.active.filter(
    ({ name, auth }) => auth !== 'aPSK' && available.has(name.toLowerCase()),
  );
  if (suites.length === 0) throw new Error(`no cipher suite is left of ${list}`);
  return { suites, chachaEqual: rules.chachaEqual };
}

/** Bits, as `@STRENGTH` sorts. */
const STRENGTH: Readonly<Record<CipherSuite['cipher'], number>> = {
  '3DES': 112,
  AES128: 128,
  AES128GCM: 128,
  AES256: 256,
  AES256GCM: 256,
  CHACHA20: 256,
};

class Rules {
  active: CipherSuite[] = [];
  chachaEqual = false;
  /** Suites that were asked for by their own name, and not taken away again. */
  get named(): string[] {
    return [...this.byName].filter((name) => this.active.some((suite) => suite.name === name));
  }

  private readonly byName = new Set<string>();
  private readonly killed = new Set<CipherSuite>();
  /** The order in which suites come in that were not there: as BoringSSL's list, a suite that was taken out comes first. */
  private order: CipherSuite[] = [...CIPHER_TABLE];

  /** @returns what was not understood */
  apply(list: string): string[] {
    const rejected: string[] = [];
    for (const part of splitList(list)) {
      if (part === '@STRENGTH') this.sortByStrength();
      else if (part.startsWith('[')) rejected.push(...this.applyGroup(part));
      else if (part !== '' && !this.applyElement(readElement(part)))
        rejected.push(part.replace(/^[-!+]/, ''));
    }
    return rejected;
  }

  private applyGroup(part: string): string[] {
    if (!part.endsWith(']')) return [part];
    const names = part.slice(1, -1).split('|');
    const rejected = names.filter(
      (name) => /^[-!+@[]/.test(name) || !this.applyElement({ operator: '', name }),
    );
    const wanted = names.map(cipherNamed);
    const members = this.active.filter((suite) => wanted.includes(suite));
    const has = (test: (suite: CipherSuite) => boolean) => members.some(test);
    if (has(({ cipher }) => cipher === 'CHACHA20') && has(({ cipher }) => cipher !== 'CHACHA20'))
      this.chachaEqual = true;
    return rejected;
  }

  private applyElement({ operator, name }: Element): boolean {
    if (name === 'DEFAULT' && operator === '') return this.applyElement({ operator, name: 'ALL' });
    const tests = name.split('+').map(selectorNamed);
    if (tests.includes(undefined)) return false;
    const selects = (suite: CipherSuite) => tests.every((test) => test?.(suite));
    switch (operator) {
      case '!':
        for (const suite of CIPHER_TABLE) if (selects(suite)) this.killed.add(suite);
        this.active = this.active.filter((suite) => !selects(suite));
        break;
      case '-': {
        const gone = this.active.filter(selects);
        this.active = this.active.filter((suite) => !selects(suite));
        this.order = [...gone, ...this.order.filter((suite) => !gone.includes(suite))];
        break;
      }
      case '+':
        this.active = [...this.active.filter((suite) => !selects(suite)), ...this.active.filter(selects)];
        break;
      default: {
        this.active.push(
          ...this.order.filter(
            (suite) => selects(suite) && !this.killed.has(suite) && !this.active.includes(suite),
          ),
        );
        const exact = cipherNamed(name);
        if (exact !== undefined) this.byName.add(exact.name);
      }
    }
    return true;
  }

  private sortByStrength(): void {
    this.active = this.active.toSorted((a, b) => STRENGTH[b.cipher] - STRENGTH[a.cipher]);
  }
}

function readElement(part: string): Element {
  const [first = ''] = part;
  return first === '!' || first === '-' || first === '+'
    ? { operator: first, name: part.slice(1) }
    : { operator: '', name: part };
}

/** Colons, commas, semicolons and blanks separate; groups are kept whole. */
function splitList(list: string): string[] {
  return list.match(/\[[^\]]*\]?|[^:;, [\]]+|\]/g) ?? [];
}
