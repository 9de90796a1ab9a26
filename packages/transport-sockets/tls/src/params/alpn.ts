/** A protocol as it stands in the extension: its length in one byte, and its name. */
export function wireProtocol(protocol: string): Buffer {
  const bytes = Buffer.from(protocol, 'latin1');
  return Buffer.concat([Buffer.from([bytes.length]), bytes]);
}
