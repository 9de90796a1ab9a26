export { ConsistentHashing, type HashTable } from './consistent-hashing.ts';
export { hashKey } from './hash-key.ts';
export { type HashingSettings, readHashing } from './settings.ts';
export { normalizeWeights, type WeightedHosts } from './weighted-hosts.ts';
