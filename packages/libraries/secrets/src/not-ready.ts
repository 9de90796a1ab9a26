import type { ConfigError } from '@dragoman/core';

/** A secret that has not come yet, or that cannot be used now. That is no mistake of the config, and another version may come. */
export class SecretNotReady extends Error {
  /** Names of secrets that are there, but whose content is no good. */
  readonly broken: readonly string[];

  constructor(message: string, broken: readonly string[] = []) {
    super(message);
    this.broken = broken;
  }
}

/** The version that is being tried is no good. */
export class SecretRefused extends Error {
  /** With paths below the secret. */
  readonly problem: ConfigError;

  constructor(problem: ConfigError) {
    super(problem.message);
    this.problem = problem;
  }
}

type Reads<T extends readonly unknown[]> = { readonly [I in keyof T]: () => T[I] };

/**
 * Reads all of them, also when one fails, so that the news that a secret is not there yet does not hide a mistake.
 * @throws SecretRefused before any other error, SecretNotReady after all others
 */
export function readAll<T extends readonly unknown[]>(...reads: Reads<T>): T {
  const values: unknown[] = [];
  const errors: unknown[] = [];
  for (const read of reads) {
    try {
      values.push(read());
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length === 0) return values as unknown as T;
  const missing = errors.filter((error) => error instanceof SecretNotReady);
  if (missing.length < errors.length)
    throw (
      errors.find((error) => error instanceof SecretRefused) ??
      errors.find((error) => !(error instanceof SecretNotReady))
    );
  throw new SecretNotReady(
    missing.map(({ message }) => message).join('; '),
    missing.flatMap(({ broken }) => broken),
  );
}
