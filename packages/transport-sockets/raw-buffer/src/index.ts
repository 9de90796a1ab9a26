export { rawBuffer } from './raw-buffer.ts';
