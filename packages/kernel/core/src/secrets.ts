/** What a certificate in use looks like to an operator (`/certs`, expiry stats). Times are wall time in ms. */
export interface CertificateEntry {
  /** Where it came from: a file's path, or `<inline>`. */
  readonly path: string;
  /** In hex, lower case, as Envoy prints it. */
  readonly serialNumber: string;
  readonly dnsSans: readonly string[];
  readonly uriSans: readonly string[];
  readonly ipSans: readonly string[];
  readonly validFrom: number;
  readonly expirationTime: number;
}

/** The certificates of one TLS context. */
export interface CertificateGroup {
  readonly caCertificates: readonly CertificateEntry[];
  readonly certificateChain: readonly CertificateEntry[];
}

/** Knows the certificates in use on this thread. Admin reads it. */
export interface CertificateBook {
  /** `read` is asked when somebody looks. The returned function takes the context out again. */
  register(read: () => CertificateGroup): () => void;
}

/**
 * Finds secrets by name: those of `static_resources.secrets`. Those that a `SdsSecretConfig` gives a source are found by `@dragoman/secrets`.
 * Typed unknown because contracts know no generated code: values are `envoy.extensions.transport_sockets.tls.v3.Secret`.
 */
export interface SecretSource {
  /** Undefined when there is none of this name. */
  find(name: string): unknown;
  /** For error messages. */
  readonly names: readonly string[];
}
