export { subset } from './subset.ts';
