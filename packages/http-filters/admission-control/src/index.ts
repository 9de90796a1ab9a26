export { admissionControl } from './extension.ts';
