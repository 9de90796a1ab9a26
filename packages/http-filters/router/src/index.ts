export { router } from './router.ts';
