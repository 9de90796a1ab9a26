export { starttls } from './starttls.ts';
