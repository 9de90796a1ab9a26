import { createHash } from 'node:crypto';
import { type ClientHello, EXTENSION, extensionData, isGrease, uint16List } from '@dragoman/client-hello';

/** The text that JA3 is the MD5 of: version, cipher suites, extensions, groups and point formats, as decimal numbers. */
export function ja3Text(hello: ClientHello): string {
  const groups = extensionData(hello, EXTENSION.supportedGroups);
  const formats = extensionData(hello, EXTENSION.pointFormats);
  return [
    String(hello.version),
    uint16List(hello.cipherSuites)
      .filter((id) => !isGrease(id))
      .join('-'),
    hello.extensions
      .map(({ type }) => type)
      .filter((type) => !isGrease(type))
      .join('-'),
    // Envoy leaves GREASE among the groups.
    groups === undefined ? '' : uint16List(groups.subarray(2)).join('-'),
    formats === undefined ? '' : formats.subarray(1).join('-'),
  ].join(',');
}

/** 32 hexadecimal digits. */
export function ja3(hello: ClientHello): string {
  return md5(ja3Text(hello));
}

/** Whether the platform lets MD5 be used (in FIPS mode it does not). */
export function ja3Available(): boolean {
  try {
    md5('');
    return true;
  } catch {
    return false;
  }
}

const md5 = (text: string): string => createHash('md5').update(text).digest('hex');
