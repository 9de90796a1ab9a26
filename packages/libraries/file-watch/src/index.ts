export { digestOf, digestOfContent, stampOf } from './fingerprint.ts';
export { FileWatch, type FileWatchOptions, type WatchedFiles } from './file-watch.ts';
export { FolderWatch, type FolderWatchOptions } from './folder-watch.ts';
