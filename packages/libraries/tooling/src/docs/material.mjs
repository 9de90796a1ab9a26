/**
 * Certificates and descriptors for configs that are tried. They are made anew each time, so that none of them is ever out of date; the
 * tables of configs have `MATERIAL` in their place.
 */

/** What stands in a config for each of them. Not all are text: `pkcs12`, `ocsp` and `descriptors` are base64. */
export const MATERIAL = {
  authority: '<authority>',
  crl: '<crl>',
  chain: '<chain>',
  key: '<key>',
  encryptedKey: '<encrypted key>',
  pkcs12: '<pkcs12>',
  ocsp: '<ocsp>',
  descriptors: '<descriptors>',
};

/** Of `encryptedKey` and `pkcs12`. */
export const PASSWORD = 'secret';

/** The service that `descriptors` describe. */
export const SERVICE = 'a.v1.A';

/**
 * @param {Awaited<ReturnType<import('./sources.mjs').loadSources>>} sources
 * @returns {Map<string, string>} from what stands in a config to what is meant
 */
export function makeMaterial({ api, pki }) {
  const root = pki.TestAuthority.root();
  const own = root.issue({ san: [{ dns: 'a.example' }] });
  return new Map([
    [MATERIAL.authority, root.pem],
    [MATERIAL.crl, root.crl()],
    [MATERIAL.chain, own.chainPem],
    [MATERIAL.key, own.keyPem],
    [MATERIAL.encryptedKey, own.encryptedKeyPem(PASSWORD)],
    [MATERIAL.pkcs12, own.pkcs12(PASSWORD).toString('base64')],
    [MATERIAL.ocsp, root.ocsp(own).toString('base64')],
    [MATERIAL.descriptors, descriptors(api)],
  ]);
}

function descriptors(api) {
  const schema = api.messageType('google.protobuf.FileDescriptorSet');
  const method = { name: 'Get', input_type: '.a.v1.M', output_type: '.a.v1.M' };
  const file = {
    name: 'a.proto',
    package: 'a.v1',
    syntax: 'proto3',
    message_type: [{ name: 'M' }],
    service: [{ name: 'A', method: [method] }],
  };
  const set = api.fromJson(schema, { file: [file] });
  return Buffer.from(api.toBinary(schema, set)).toString('base64');
}

/** A copy of a config with the material itself. */
export function withMaterial(json, material) {
  if (typeof json === 'string') return material.get(json) ?? json;
  if (json === null || typeof json !== 'object') return json;
  if (Array.isArray(json)) return json.map((item) => withMaterial(item, material));
  return Object.fromEntries(Object.entries(json).map(([key, value]) => [key, withMaterial(value, material)]));
}
