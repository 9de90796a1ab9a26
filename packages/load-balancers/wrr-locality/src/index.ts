export { wrrLocality } from './wrr-locality.ts';
