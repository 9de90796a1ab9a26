export { serverNameTree } from './server-name-tree.ts';
