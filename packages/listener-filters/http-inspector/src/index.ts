export { httpInspector } from './http-inspector.ts';
