export { customHeaderDetection } from './custom-header-detection.ts';
