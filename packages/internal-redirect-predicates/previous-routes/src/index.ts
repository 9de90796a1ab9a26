export { previousRoutes } from './previous-routes.ts';
