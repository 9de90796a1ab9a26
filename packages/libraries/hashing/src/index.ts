export { halvesModulo, hashHex, hashModulo, rotateXor } from './hash-value.ts';
export { murmurHash2 } from './murmur2.ts';
export { xxHash64, xxHash64All } from './xxhash64.ts';
