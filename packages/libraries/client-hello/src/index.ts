export {
  type ClientHello,
  EXTENSION,
  extensionData,
  extensionNumbers,
  type HelloExtension,
  parseClientHello,
} from './client-hello.ts';
export { Cursor, uint16List } from './cursor.ts';
export {
  alpnExtension,
  encodeClientHello,
  encodeClientHelloBody,
  encodeHandshake,
  encodeRecords,
  type HelloParts,
  serverNameExtension,
  uint16,
  uint16s,
  vector16,
  vector8,
} from './encode.ts';
export { HELLO_FAILURES, type HelloFailure } from './failures.ts';
export { isGrease } from './grease.ts';
export { type HelloProgress, HelloReader } from './hello-reader.ts';
