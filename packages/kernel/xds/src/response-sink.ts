import type { DescMessage, DiscoveryRequest, DiscoveryResponse, Node } from '@dragoman/api';
import type { Clock, Logger } from '@dragoman/core';
import { discoveryType } from './discovery-types.ts';
import type { ResponseSink } from './options.ts';
import type { ResourceReader } from './resource-reader.ts';
import { SotwProtocol } from './sotw-protocol.ts';
import { type ChannelHost, TypeChannel } from './type-channel.ts';

const noStream: ChannelHost = { requestDue() {}, waitingChanged() {}, hold: () => () => {} };

/** One type of a source without a stream: a file, or a server that is asked again and again. */
export class ChannelSink implements ResponseSink {
  readonly channel: TypeChannel<DiscoveryRequest, DiscoveryResponse>;
  private readonly node: Node;

  constructor(
    schema: DescMessage,
    typeUrl: string,
    node: Node,
    tools: { readonly clock: Clock; readonly logger: Logger; readonly reader: ResourceReader },
  ) {
    this.node = node;
    this.channel = new TypeChannel({
      ...tools,
      typeUrl,
      schema,
      type: discoveryType(schema),
      host: noStream,
      createProtocol: (url, watches) => new SotwProtocol(url, () => watches),
    });
  }

  request(): DiscoveryRequest {
    const request = this.channel.takeRequest();
    request.node = this.node;
    return request;
  }

  deliver(response: DiscoveryResponse): Promise<string | undefined> {
    return new Promise((resolve) => this.channel.receive(response, (error) => resolve(error?.message)));
  }

  failed(details: string): void {
    this.channel.disconnected(details);
  }
}
