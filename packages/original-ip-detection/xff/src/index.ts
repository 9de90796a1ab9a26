export { xffDetection } from './xff-detection.ts';
