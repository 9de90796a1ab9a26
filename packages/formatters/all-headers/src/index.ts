export { allHeadersFormatter } from './all-headers-formatter.ts';
