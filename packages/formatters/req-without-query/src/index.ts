export { reqWithoutQueryFormatter } from './req-without-query-formatter.ts';
