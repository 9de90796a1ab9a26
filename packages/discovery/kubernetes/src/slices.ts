import { asArray, asObject, asString, type JsonObjectView, printable } from '@dragoman/api-discovery';

/** One endpoint of a slice: what a proxy uses of it. */
export interface SliceEndpoint {
  /** The first one: the others are the same endpoint. */
  readonly address: string;
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
  readonly hostname: string;
  readonly node: string;
  readonly zone: string;
  /** Kind and name of what is behind it, such as a Pod. */
  readonly targetKind: string;
  readonly targetName: string;
}

export interface SlicePort {
  readonly name: string;
  readonly protocol: string;
  /** Undefined: every port. */
  readonly number: number | undefined;
}

/** An EndpointSlice (`discovery.k8s.io/v1`) that has been read. */
export interface Slice {
  /** Of its object; unique in a namespace. */
  readonly name: string;
  readonly addressType: string;
  readonly endpoints: readonly SliceEndpoint[];
  readonly ports: readonly SlicePort[];
}

/** A page of a list. */
export interface SlicePage {
  readonly slices: readonly Slice[];
  readonly resourceVersion: string;
  /** Asks for the next page; empty on the last one. */
  readonly next: string;
}

/** What a line of a watch says. */
export type SliceEvent =
  | { readonly type: 'set'; readonly slice: Slice; readonly resourceVersion: string }
  | { readonly type: 'delete'; readonly name: string; readonly resourceVersion: string }
  | { readonly type: 'bookmark'; readonly resourceVersion: string }
  /** The watch is over; `gone`: what it should have gone on from is no longer known. */
  | { readonly type: 'error'; readonly gone: boolean; readonly reason: string };

const GONE = 410;
/** What a version looks like is the server's business; that it fits into a query is ours. */
const MAX_VERSION_LENGTH = 256;
const MAX_CONTINUE_LENGTH = 16_384;

/** @throws Error that says what is wrong with the list */
export function readPage(value: unknown): SlicePage {
  const list = asObject(value);
  // A list of nothing may be null: its writer is Go.
  if (list.kind !== 'EndpointSliceList' || !(Array.isArray(list.items) || list.items === null))
    throw new Error('is no EndpointSliceList');
  const metadata = asObject(list.metadata);
  const next = asString(metadata.continue);
  if (next.length > MAX_CONTINUE_LENGTH) throw new Error('has a continue token that is too long');
  return { slices: asArray(list.items).map(readSlice), resourceVersion: versionOf(metadata), next };
}

/** @throws Error that says what is wrong with the event */
export function readEvent(value: unknown): SliceEvent {
  const event = asObject(value);
  const object = asObject(event.object);
  if (event.type === 'ERROR') return readError(object);
  if (object.kind !== 'EndpointSlice') throw new Error('is no event of an EndpointSlice');
  const resourceVersion = versionOf(asObject(object.metadata));
  switch (event.type) {
    case 'ADDED':
    case 'MODIFIED':
      return { type: 'set', slice: readSlice(object), resourceVersion };
    case 'DELETED':
      return { type: 'delete', name: nameOf(object), resourceVersion };
    case 'BOOKMARK':
      return { type: 'bookmark', resourceVersion };
    default:
      throw new Error('is an event of an unknown type');
  }
}

function readError(status: JsonObjectView): SliceEvent {
  const gone = status.code === GONE || status.reason === 'Expired' || status.reason === 'Gone';
  const text = asString(status.message) || asString(status.reason) || 'without a reason';
  return { type: 'error', gone, reason: printable(text, 200) };
}

function readSlice(value: unknown): Slice {
  const slice = asObject(value);
  return {
    name: nameOf(slice),
    addressType: asString(slice.addressType),
    endpoints: asArray(slice.endpoints).map(readEndpoint),
    ports: asArray(slice.ports).map(readPort),
  };
}

/** Conditions that are not there: ready means yes, serving means as ready, terminating means no (the API's own rules). */
function readEndpoint(value: unknown): SliceEndpoint {
  const endpoint = asObject(value);
  const conditions = asObject(endpoint.conditions);
  const target = asObject(endpoint.targetRef);
  const ready = conditions.ready !== false;
  return {
    address: asString(asArray(endpoint.addresses)[0]),
    ready,
    serving: typeof conditions.serving === 'boolean' ? conditions.serving : ready,
    terminating: conditions.terminating === true,
    hostname: asString(endpoint.hostname),
    node: asString(endpoint.nodeName),
    zone: asString(endpoint.zone),
    targetKind: asString(target.kind),
    targetName: asString(target.name),
  };
}

function readPort(value: unknown): SlicePort {
  const port = asObject(value);
  return {
    name: asString(port.name),
    protocol: asString(port.protocol) || 'TCP',
    number: typeof port.port === 'number' ? port.port : undefined,
  };
}

function nameOf(object: JsonObjectView): string {
  const name = asString(asObject(object.metadata).name);
  if (name === '') throw new Error('holds an EndpointSlice without a name');
  return name;
}

function versionOf(metadata: JsonObjectView): string {
  const version = asString(metadata.resourceVersion);
  if (version === '' || version.length > MAX_VERSION_LENGTH) throw new Error('has no resourceVersion');
  return version;
}
