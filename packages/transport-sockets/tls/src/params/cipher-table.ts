/** A cipher suite of TLS 1.0 to 1.2 as BoringSSL has it, in what its selectors look at. */
export interface CipherSuite {
  /** OpenSSL's name, which is also BoringSSL's. */
  readonly name: string;
  readonly id: number;
  readonly key: 'kRSA' | 'kECDHE' | 'kPSK';
  readonly auth: 'aRSA' | 'aECDSA' | 'aPSK';
  readonly cipher: '3DES' | 'AES128' | 'AES256' | 'AES128GCM' | 'AES256GCM' | 'CHACHA20';
  readonly mac: 'SHA1' | 'SHA256' | 'AEAD';
  readonly minVersion: 'SSLv3' | 'TLSv1.2';
}

const suite = (
  name: string,
  id: number,
  key: CipherSuite['key'],
  auth: CipherSuite['auth'],
  cipher: CipherSuite['cipher'],
  mac: CipherSuite['mac'] = 'AEAD',
): CipherSuite => ({ name, id, key, auth, cipher, mac, minVersion: mac === 'SHA1' ? 'SSLv3' : 'TLSv1.2' });

/** Every suite of BoringSSL below TLS 1.3, in the order that `ALL` has where the processor knows AES. */
export const CIPHER_TABLE: readonly CipherSuite[] = [
  suite('ECDHE-ECDSA-AES128-GCM-SHA256', 0xc02b, 'kECDHE', 'aECDSA', 'AES128GCM'),
  suite('ECDHE-RSA-AES128-GCM-SHA256', 0xc02f, 'kECDHE', 'aRSA', 'AES128GCM'),
  suite('ECDHE-ECDSA-AES256-GCM-SHA384', 0xc02c, 'kECDHE', 'aECDSA', 'AES256GCM'),
  suite('ECDHE-RSA-AES256-GCM-SHA384', 0xc030, 'kECDHE', 'aRSA', 'AES256GCM'),
  suite('ECDHE-ECDSA-CHACHA20-POLY1305', 0xcca9, 'kECDHE', 'aECDSA', 'CHACHA20'),
  suite('ECDHE-RSA-CHACHA20-POLY1305', 0xcca8, 'kECDHE', 'aRSA', 'CHACHA20'),
  suite('ECDHE-PSK-CHACHA20-POLY1305', 0xccac, 'kECDHE', 'aPSK', 'CHACHA20'),
  suite('ECDHE-ECDSA-AES128-SHA', 0xc009, 'kECDHE', 'aECDSA', 'AES128', 'SHA1'),
  suite('ECDHE-RSA-AES128-SHA', 0xc013, 'kECDHE', 'aRSA', 'AES128', 'SHA1'),
  suite('ECDHE-RSA-AES128-SHA256', 0xc027, 'kECDHE', 'aRSA', 'AES128', 'SHA256'),
  suite('ECDHE-PSK-AES128-CBC-SHA', 0xc035, 'kECDHE', 'aPSK', 'AES128', 'SHA1'),
  suite('ECDHE-ECDSA-AES256-SHA', 0xc00a, 'kECDHE', 'aECDSA', 'AES256', 'SHA1'),
  suite('ECDHE-RSA-AES256-SHA', 0xc014, 'kECDHE', 'aRSA', 'AES256', 'SHA1'),
  suite('ECDHE-PSK-AES256-CBC-SHA', 0xc036, 'kECDHE', 'aPSK', 'AES256', 'SHA1'),
  suite('AES128-GCM-SHA256', 0x009c, 'kRSA', 'aRSA', 'AES128GCM'),
  suite('AES256-GCM-SHA384', 0x009d, 'kRSA', 'aRSA', 'AES256GCM'),
  suite('AES128-SHA', 0x002f, 'kRSA', 'aRSA', 'AES128', 'SHA1'),
  suite('PSK-AES128-CBC-SHA', 0x008c, 'kPSK', 'aPSK', 'AES128', 'SHA1'),
  suite('AES256-SHA', 0x0035, 'kRSA', 'aRSA', 'AES256', 'SHA1'),
  suite('PSK-AES256-CBC-SHA', 0x008d, 'kPSK', 'aPSK', 'AES256', 'SHA1'),
  suite('DES-CBC3-SHA', 0x000a, 'kRSA', 'aRSA', '3DES', 'SHA1'),
];

/** Names by RFC, and old ones, that BoringSSL takes for a suite too. */
const OTHER_NAMES: ReadonlyMap<string, string> = new Map([
  ['TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256', 'ECDHE-ECDSA-AES128-GCM-SHA256'],
  ['TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256', 'ECDHE-RSA-AES128-GCM-SHA256'],
  ['TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384', 'ECDHE-ECDSA-AES256-GCM-SHA384'],
  ['TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384', 'ECDHE-RSA-AES256-GCM-SHA384'],
  ['TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256', 'ECDHE-ECDSA-CHACHA20-POLY1305'],
  ['TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256', 'ECDHE-RSA-CHACHA20-POLY1305'],
  ['TLS_ECDHE_PSK_WITH_CHACHA20_POLY1305_SHA256', 'ECDHE-PSK-CHACHA20-POLY1305'],
  ['TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA', 'ECDHE-ECDSA-AES128-SHA'],
  ['TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA', 'ECDHE-RSA-AES128-SHA'],
  ['TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256', 'ECDHE-RSA-AES128-SHA256'],
  ['TLS_ECDHE_PSK_WITH_AES_128_CBC_SHA', 'ECDHE-PSK-AES128-CBC-SHA'],
  ['TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA', 'ECDHE-ECDSA-AES256-SHA'],
  ['TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA', 'ECDHE-RSA-AES256-SHA'],
  ['TLS_ECDHE_PSK_WITH_AES_256_CBC_SHA', 'ECDHE-PSK-AES256-CBC-SHA'],
  ['TLS_RSA_WITH_AES_128_GCM_SHA256', 'AES128-GCM-SHA256'],
  ['TLS_RSA_WITH_AES_256_GCM_SHA384', 'AES256-GCM-SHA384'],
  ['TLS_RSA_WITH_AES_128_CBC_SHA', 'AES128-SHA'],
  ['TLS_RSA_WITH_AES_256_CBC_SHA', 'AES256-SHA'],
  ['TLS_PSK_WITH_AES_128_CBC_SHA', 'PSK-AES128-CBC-SHA'],
  ['TLS_PSK_WITH_AES_256_CBC_SHA', 'PSK-AES256-CBC-SHA'],
  ['TLS_RSA_WITH_3DES_EDE_CBC_SHA', 'DES-CBC3-SHA'],
]);

export function cipherNamed(name: string): CipherSuite | undefined {
  const real = OTHER_NAMES.get(name) ?? name;
  return CIPHER_TABLE.find((one) => one.name === real);
}

type Test = (suite: CipherSuite) => boolean;

/** BoringSSL's aliases. */
const ALIASES: ReadonlyMap<string, Test> = new Map<string, Test>([
  // 3DES is selected only by its name.
  ['ALL', ({ cipher }) => cipher !== '3DES'],
  ['HIGH', ({ cipher }) => cipher !== '3DES'],
  ['FIPS', ({ cipher }) => cipher !== '3DES'],
  ['kRSA', ({ key }) => key === 'kRSA'],
  ['kECDHE', ({ key }) => key === 'kECDHE'],
  ['kEECDH', ({ key }) => key === 'kECDHE'],
  ['kPSK', ({ key }) => key === 'kPSK'],
  ['aRSA', ({ auth }) => auth === 'aRSA'],
  ['aECDSA', ({ auth }) => auth === 'aECDSA'],
  ['ECDSA', ({ auth }) => auth === 'aECDSA'],
  ['aPSK', ({ auth }) => auth === 'aPSK'],
  ['ECDHE', ({ key }) => key === 'kECDHE'],
  ['EECDH', ({ key }) => key === 'kECDHE'],
  ['RSA', ({ key, auth }) => key === 'kRSA' && auth === 'aRSA'],
  ['PSK', ({ key, auth }) => key === 'kPSK' && auth === 'aPSK'],
  ['3DES', ({ cipher }) => cipher === '3DES'],
  ['AES128', ({ cipher }) => cipher.startsWith('AES128')],
  ['AES256', ({ cipher }) => cipher.startsWith('AES256')],
  ['AES', ({ cipher }) => cipher.startsWith('AES')],
  ['AESGCM', ({ cipher }) => cipher.endsWith('GCM')],
  ['CHACHA20', ({ cipher }) => cipher === 'CHACHA20'],
  ['SHA1', ({ mac }) => mac === 'SHA1'],
  ['SHA', ({ mac }) => mac === 'SHA1'],
  ['SSLv3', ({ minVersion }) => minVersion === 'SSLv3'],
  ['TLSv1', ({ minVersion }) => minVersion === 'SSLv3'],
  ['TLSv1.2', ({ minVersion }) => minVersion === 'TLSv1.2'],
]);

/** What a name or an alias stands for; undefined for neither. 3DES has to be asked for by name. */
export function selectorNamed(name: string): Test | undefined {
  const exact = cipherNamed(name);
  if (exact !== undefined) return (suite) => suite === exact;
  const alias = ALIASES.get(name);
  if (alias === undefined) return undefined;
  return name === '3DES' ? alias : (suite) => suite.cipher !== '3DES' && alias(suite);
}
