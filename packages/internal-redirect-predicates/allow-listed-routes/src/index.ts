export { allowListedRoutes } from './allow-listed-routes.ts';
