export { hashHex, hashModulo, rotateXor } from './hash-value.ts';
export { xxHash64, xxHash64All } from './xxhash64.ts';
