import {
  anyTypeName,
  DiscoveryResponseSchema,
  loadConfig,
  type Secret,
  SecretSchema,
  unpackAnyAs,
} from '@dragoman/api';

/**
 * Finds a secret in a file as a control plane would send it (`DiscoveryResponse` with `resources`), or as it stands in a bootstrap
 * (`Secret`). YAML, JSON, or the binary form by the file's name.
 * @throws ConfigError for what cannot be read, Error when the secret is not in it
 */
export function secretInFile(bytes: Buffer, file: string, name: string): Secret {
  const secrets = looksLikeResponse(bytes, file) ? ofResponse(bytes, file) : [ofSecret(bytes, file)];
  const found = secrets.find((secret) => secret.name === name);
  if (found !== undefined) return found;
  const names = secrets.map((secret) => JSON.stringify(secret.name)).join(', ');
  throw new Error(`there is no secret "${name}" in it; it has ${names === '' ? 'none' : names}`);
}

function looksLikeResponse(bytes: Buffer, file: string): boolean {
  if (/\.pb(_text)?$/.test(file)) return true;
  return /^\s*\{?\s*["']?(resources|version_info|versionInfo)["']?\s*:/m.test(bytes.toString('utf8'));
}

function ofSecret(bytes: Buffer, file: string): Secret {
  return loadConfig({ bytes, file }, { schema: SecretSchema }).message;
}

function ofResponse(bytes: Buffer, file: string): Secret[] {
  const { message } = loadConfig({ bytes, file }, { schema: DiscoveryResponseSchema });
  return message.resources.map((any) => {
    const secret = unpackAnyAs(any, SecretSchema);
    if (secret === undefined) throw new Error(`expected ${SecretSchema.typeName}, found ${anyTypeName(any)}`);
    return secret;
  });
}
