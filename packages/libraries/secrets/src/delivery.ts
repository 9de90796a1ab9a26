import { SecretSchema, type Secret } from '@dragoman/api';
import type { ResourceReference } from '@dragoman/core';

/** The place of a secret that a control plane gives. */
export class Delivery {
  readonly reference: ResourceReference<typeof SecretSchema>;
  /** The last version that was good; it stays when the secret is removed. */
  current: Secret | undefined = undefined;

  /** @param source a `ConfigSource` */
  constructor(name: string, source: unknown) {
    this.reference = { type: SecretSchema, source, name };
  }
}
