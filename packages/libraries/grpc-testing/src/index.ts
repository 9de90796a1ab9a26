export { EditedStream, FilterRun, type Message, type Passed } from './filter-run.ts';
export { grpcFrames, inPieces, textOf, trailers } from './messages.ts';
