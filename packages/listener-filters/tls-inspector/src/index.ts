export { tlsInspector } from './tls-inspector.ts';
