export { compileUpstreamFilters, upstreamCodec } from './compile.ts';
