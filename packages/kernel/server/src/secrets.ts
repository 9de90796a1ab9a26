import { randomBytes } from 'node:crypto';
import { fromBinary, type Secret, SecretSchema, toBinary } from '@dragoman/api';
import type { CertificateBook, CertificateGroup, ProblemCollector, SecretSource } from '@dragoman/core';

/** `static_resources.secrets` by name. */
export class StaticSecrets implements SecretSource {
  private readonly byName: ReadonlyMap<string, Secret>;

  constructor(secrets: readonly Secret[]) {
    this.byName = new Map(secrets.map((secret) => [secret.name, secret]));
  }

  /** Reports secrets without a name, and two of the same, under `static_resources.secrets`. */
  static check(secrets: readonly Secret[], problems: ProblemCollector): void {
    const seen = new Set<string>();
    secrets.forEach(({ name }, i) => {
      const path = `static_resources.secrets[${i}].name`;
      if (name === '') problems.add(path, 'a secret needs a name: others refer to it by that');
      else if (seen.has(name)) problems.add(path, `another secret is named "${name}" too`);
      seen.add(name);
    });
  }

  static fromWire(wire: readonly Uint8Array[]): StaticSecrets {
    return new StaticSecrets(wire.map((bytes) => fromBinary(SecretSchema, bytes)));
  }

  find(name: string): Secret | undefined {
    return this.byName.get(name);
  }

  get names(): readonly string[] {
    return [...this.byName.keys()];
  }
}

/** For {@link FactoryContext.processKey}. */
export function newProcessKey(): Uint8Array {
  return new Uint8Array(randomBytes(PROCESS_KEY_BYTES));
}

const PROCESS_KEY_BYTES = 48;

/** For a thread of its own: {@link StaticSecrets.fromWire} reads it there. */
export function secretsToWire(secrets: readonly Secret[]): readonly Uint8Array[] {
  return secrets.map((secret) => toBinary(SecretSchema, secret));
}

/** The TLS contexts of one thread. */
export class ThreadCertificates implements CertificateBook {
  private readonly readers = new Set<() => CertificateGroup>();

  register(read: () => CertificateGroup): () => void {
    // Two contexts may share a function: each is registered for itself.
    const own = () => read();
    this.readers.add(own);
    return () => this.readers.delete(own);
  }

  read(): readonly CertificateGroup[] {
    return [...this.readers].map((read) => read());
  }
}
