export { originalDst } from './original-dst.ts';
