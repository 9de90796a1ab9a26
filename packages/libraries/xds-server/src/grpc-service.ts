import {
  AggregatedDiscoveryService,
  type DescMessage,
  type DescService,
  type DeltaDiscoveryRequest,
  type DiscoveryRequest,
  type DiscoveryResponse,
  fromBinary,
  type MessageShape,
  toBinary,
} from '@dragoman/api';
import {
  type MethodDefinition,
  type sendUnaryData,
  type Server,
  type ServerDuplexStream,
  type ServerUnaryCall,
  status,
  type UntypedHandleCall,
} from '@grpc/grpc-js';
import type { Peer } from './callbacks.ts';
import { asXdsError, type XdsError } from './errors.ts';
import { KINDS } from './kinds.ts';
import type { DeltaStream, SotwStream, XdsProtocol } from './protocol.ts';
import type { StreamSink } from './stream.ts';

type DescMethod = DescService['methods'][number];
type Call = ServerDuplexStream<never, object>;

/**
 * Adds ADS and the services of every type to a server of grpc-js.
 * @param closing true: new streams are refused with UNAVAILABLE
 */
export function addXdsServices(
  server: Server,
  protocol: XdsProtocol,
  closing: () => boolean = () => false,
): void {
  addService(server, AggregatedDiscoveryService, undefined, { protocol, closing });
  for (const { service, typeUrl } of Object.values(KINDS))
    addService(server, service, typeUrl, { protocol, closing });
}

interface Served {
  readonly protocol: XdsProtocol;
  /** No more calls are taken. */
  closing(): boolean;
}

function addService(server: Server, service: DescService, typeUrl: string | undefined, served: Served): void {
  const methods = service.methods.map((method) => [method.name, definitionOf(service, method)] as const);
  const handlers = service.methods.map(
    (method) => [method.name, handlerOf(method, typeUrl, served)] as const,
  );
  server.addService(
    Object.fromEntries(methods),
    Object.fromEntries(handlers) as Record<string, UntypedHandleCall>,
  );
}

function definitionOf(
  service: DescService,
  { name, methodKind, input, output }: DescMethod,
): MethodDefinition<unknown, unknown> {
  const streams = methodKind === 'bidi_streaming';
  return {
    path: `/${service.typeName}/${name}`,
    requestStream: streams,
    responseStream: streams,
    requestSerialize: writer(input),
    requestDeserialize: reader(input),
    responseSerialize: writer(output),
    responseDeserialize: reader(output),
  };
}

function writer(schema: DescMessage): (message: unknown) => Buffer {
  return (message) => {
    const bytes = toBinary(schema, message as MessageShape<DescMessage>);
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  };
}

function reader(schema: DescMessage): (bytes: Buffer) => unknown {
  return (bytes) => fromBinary(schema, bytes);
}

function handlerOf(method: DescMethod, typeUrl: string | undefined, { protocol, closing }: Served) {
  if (method.methodKind === 'unary') {
    return (
      call: ServerUnaryCall<DiscoveryRequest, DiscoveryResponse>,
      done: sendUnaryData<DiscoveryResponse>,
    ): void => {
      protocol.fetch(call.request, typeUrl ?? call.request.typeUrl, peerOf(call)).then(
        (response) => done(null, response),
        (error: XdsError) => done(statusOf(error)),
      );
    };
  }
  const delta = method.input.typeName === DELTA_REQUEST;
  return (call: Call): void => {
    call.on('error', () => {}); // the end of a call that fails is told by 'close'
    if (closing()) {
      call.emit('error', { code: status.UNAVAILABLE, details: 'the control plane is closing' });
      return;
    }
    carry(call, (sink) => {
      const options = { typeUrl, peer: peerOf(call) };
      return delta ? protocol.openDelta(sink, options) : protocol.openSotw(sink, options);
    });
  };
}

const DELTA_REQUEST = 'envoy.service.discovery.v3.DeltaDiscoveryRequest';

/** Ties a call to a stream of the protocol. */
function carry(call: Call, open: (sink: StreamSink<object>) => SotwStream | DeltaStream): void {
  let over = false;
  const sink: StreamSink<object> = {
    write: (message) => over || call.write(message),
    end(error) {
      if (over) return;
      over = true;
      if (error === undefined) call.end();
      else call.emit('error', statusOf(error));
    },
  };
  let stream: SotwStream | DeltaStream;
  try {
    stream = open(sink);
  } catch (error) {
    sink.end(asXdsError(error));
    return;
  }
  const gone = (): void => {
    over = true;
    stream.close();
  };
  call.on('cancelled', gone);
  call.on('close', gone);
  call.on('error', gone);
  call.on('drain', () => stream.drained());
  const read = (): void => {
    call.on('data', (request: DiscoveryRequest | DeltaDiscoveryRequest) => stream.receive(request as never));
    call.on('end', () => stream.end());
  };
  if (stream.opening === undefined) read();
  else stream.opening.then(read);
}

function statusOf(error: XdsError): { code: status; details: string } {
  return { code: status[error.status], details: error.message };
}

function peerOf(call: Pick<Call, 'getPeer' | 'metadata' | 'getAuthContext'>): Peer {
  const certificate = call.getAuthContext().sslPeerCertificate?.raw;
  return {
    address: call.getPeer(),
    header(name) {
      const value = call.metadata.get(name)[0];
      return typeof value === 'object' ? value.toString('base64') : value;
    },
    ...(certificate === undefined ? {} : { certificate }),
  };
}
