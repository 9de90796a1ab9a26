import {
  create,
  fromBinary,
  LoadReportingService,
  type LoadStatsRequest,
  type LoadStatsResponseSchema,
  type MessageInitShape,
  toBinary,
} from '@dragoman/api';
import { Server, ServerCredentials, type ServerDuplexStream, type ServiceDefinition } from '@grpc/grpc-js';

const METHOD = LoadReportingService.method.streamLoadStats;

const DEFINITION = {
  stream: {
    path: `/${METHOD.parent.typeName}/${METHOD.name}`,
    requestStream: true,
    responseStream: true,
    requestSerialize: (message: LoadStatsRequest) => Buffer.from(toBinary(METHOD.input, message)),
    requestDeserialize: (bytes: Buffer) => fromBinary(METHOD.input, bytes),
    responseSerialize: (message: never) => Buffer.from(toBinary(METHOD.output, message)),
    responseDeserialize: (bytes: Buffer) => fromBinary(METHOD.output, bytes),
  },
} as unknown as ServiceDefinition;

/** What it wants: which clusters, how often. */
export type LoadReportWish = MessageInitShape<typeof LoadStatsResponseSchema>;

/** A server of load reports (LRS) on grpc-js. It says at once what it wants. */
export class LoadReportServer {
  readonly requests: LoadStatsRequest[] = [];
  private readonly wish: LoadReportWish;
  private readonly server = new Server();
  port = 0;

  constructor(wish: LoadReportWish) {
    this.wish = wish;
  }

  async start(port = 0): Promise<this> {
    this.server.addService(DEFINITION, {
      stream: (call: ServerDuplexStream<LoadStatsRequest, unknown>) => {
        call.on('data', (request: LoadStatsRequest) => this.requests.push(request));
        call.on('error', () => {});
        call.on('end', () => call.end());
        call.write(create(METHOD.output, this.wish));
      },
    } as never);
    this.port = await new Promise((resolve, reject) =>
      this.server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      ),
    );
    return this;
  }

  stop(): void {
    this.server.forceShutdown();
  }

  /** All reports together: `cluster zone issued/success/error`, and endpoints where there are some. */
  get sums(): Record<string, string> {
    const sums = new Map<string, [number, number, number]>();
    const add = (key: string, issued: bigint, success: bigint, error: bigint): void => {
      const [a, b, c] = sums.get(key) ?? [0, 0, 0];
      sums.set(key, [a + Number(issued), b + Number(success), c + Number(error)]);
    };
    for (const { clusterStats } of this.requests)
      for (const { clusterName, upstreamLocalityStats } of clusterStats)
        for (const stats of upstreamLocalityStats) {
          const { locality, totalIssuedRequests, totalSuccessfulRequests, totalErrorRequests } = stats;
          const key = `${clusterName} ${locality?.zone}`;
          add(key, totalIssuedRequests, totalSuccessfulRequests, totalErrorRequests);
        }
    return Object.fromEntries(Array.from(sums, ([key, numbers]) => [key, numbers.join('/')]));
  }
}
